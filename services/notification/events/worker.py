"""Runs observers: one job for each event and observer, so that one that fails is retried alone."""

from collections.abc import Sequence

import psycopg
from google.protobuf.message import DecodeError
from opentelemetry.trace import Span, SpanKind, StatusCode, use_span
from opentelemetry.util.types import AttributeValue
from weft.api.v1.event_pb2 import Event

from chassis.queues.queue import Job
from chassis.telemetry import logs, tracing
from chassis.telemetry.tracing import Tracer
from services.notification.notifications.notification import NewNotification
from services.notification.notifications.repository import NotificationRepository
from services.notification.observers import Observers

log = logs.logger("observers")
_REJECTED = (psycopg.DataError, psycopg.IntegrityError, ValueError, TypeError)
"""Raised for a notification that cannot be stored. Any other error is the database's, and the whole batch is retried."""


class EventWorker:
    """The handler of the `event_jobs` queue."""

    def __init__(self, notifications: NotificationRepository, observers: Observers, tracer: Tracer) -> None:
        self._notifications = notifications
        self._observers = observers
        self._tracer = tracer

    async def __call__(self, jobs: Sequence[Job]) -> None:
        """Run the observers of a batch and store their notifications, each event within its own trace."""
        spans: list[Span] = []
        made: list[tuple[Job, NewNotification]] = []
        try:
            for job in sorted(jobs, key=lambda job: job.id):
                try:
                    event = Event.FromString(job.payload)
                except DecodeError:
                    job.dead("the payload is not an event")
                    continue
                span = self._start_span(job, event)
                spans.append(span)
                if (notification := self._observe(job, event, span)) is not None:
                    made.append((job, notification))
            if made:
                await self._insert(made)
        finally:
            for span in spans:
                span.end()

    def _start_span(self, job: Job, event: Event) -> Span:
        attributes: dict[str, AttributeValue] = {
            "weft.event.id": event.event_id,
            "weft.event.type": event.type,
            "weft.attempt": job.attempts,
        }
        return self._tracer.start("process event", job.traceparent, SpanKind.CONSUMER, attributes)

    def _observe(self, job: Job, event: Event, span: Span) -> NewNotification | None:
        with use_span(span), self._tracer.span(f"observe {job.kind}") as observing:
            try:
                notification = self._observers.run(job.kind, event)
            except Exception as error:  # an observer may fail in any way; the others go on
                observing.set_status(StatusCode.ERROR, type(error).__name__)
                log.warning("observer_failed", observer=job.kind, event_id=event.event_id, cause=repr(error))
                job.retry(repr(error))
                return None
            if notification is None:
                return None
            return NewNotification(event, job.kind, notification, tracing.current_traceparent())

    async def _insert(self, made: Sequence[tuple[Job, NewNotification]]) -> None:
        try:
            await self._notifications.insert([notification for _, notification in made])
        except _REJECTED:
            # One that the database rejects does not hold up the others.
            for job, notification in made:
                try:
                    await self._notifications.insert([notification])
                except _REJECTED as error:
                    log.warning("notification_rejected", observer=job.kind, event_id=notification.event.event_id)
                    job.retry(type(error).__name__)
