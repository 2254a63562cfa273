"""Runs observers again: one job for each event and observer that failed when the event came."""

from collections.abc import Callable, Sequence

from google.protobuf.message import DecodeError
from weft.api.v1.event_pb2 import Event

from chassis.queues.queue import Job
from chassis.telemetry import logs
from services.notification.events.observing import Observing
from services.notification.notifications.notification import NewNotification
from services.notification.notifications.repository import REJECTED, NotificationRepository

log = logs.logger("observers")


class EventWorker:
    """The handler of the `event_jobs` queue."""

    def __init__(self, notifications: NotificationRepository, observing: Callable[[], Observing]) -> None:
        self._notifications = notifications
        self._observing = observing

    async def __call__(self, jobs: Sequence[Job]) -> None:
        """Run the observers of a batch and store their notifications, each event within its own trace."""
        made: list[tuple[Job, NewNotification]] = []
        with self._observing() as observing:
            for job in sorted(jobs, key=lambda job: job.id):
                try:
                    event = Event.FromString(job.payload)
                except DecodeError:
                    job.dead("the payload is not an event")
                    continue
                found = observing.run(job.kind, event, job.traceparent, job.attempts)
                if isinstance(found, str):
                    job.retry(found)
                elif found is not None:
                    made.append((job, found))
            if made:
                await self._insert(made)

    async def _insert(self, made: Sequence[tuple[Job, NewNotification]]) -> None:
        try:
            await self._notifications.insert([notification for _, notification in made])
        except REJECTED:
            # One that the database rejects does not hold up the others.
            for job, notification in made:
                try:
                    await self._notifications.insert([notification])
                except REJECTED as error:
                    log.warning("notification_rejected", observer=job.kind, event_id=notification.event.event_id)
                    job.retry(type(error).__name__)
