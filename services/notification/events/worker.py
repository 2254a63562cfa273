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
from services.notification.events.repository import EventRepository, Observation
from services.notification.observers import Observers

log = logs.logger("observers")
_REFUSED = (psycopg.DataError, psycopg.IntegrityError, ValueError, TypeError)
"""What tells of a notice that cannot be stored; anything else is about the database, and all try again."""


class EventWorker:
    """The handler of the observations queue."""

    def __init__(self, events: EventRepository, observers: Observers, tracer: Tracer) -> None:
        self._events = events
        self._observers = observers
        self._tracer = tracer

    async def __call__(self, jobs: Sequence[Job]) -> None:
        """Observe a batch and write the notices, each event within its own trace."""
        spans: list[Span] = []
        made: list[tuple[Job, Observation]] = []
        try:
            for job in sorted(jobs, key=lambda job: job.id):
                try:
                    event = Event.FromString(job.payload)
                except DecodeError:
                    job.dead("the payload is no event")
                    continue
                attributes: dict[str, AttributeValue] = {
                    "weft.event.id": event.event_id,
                    "weft.event.type": event.type,
                    "weft.attempt": job.attempts,
                }
                span = self._tracer.start("process event", job.traceparent, SpanKind.CONSUMER, attributes)
                spans.append(span)
                if (observation := self._observe(job, event, span)) is not None:
                    made.append((job, observation))
            if made:
                await self._write(made)
        finally:
            for span in spans:
                span.end()

    def _observe(self, job: Job, event: Event, span: Span) -> Observation | None:
        with use_span(span), self._tracer.span(f"observe {job.kind}") as observing:
            try:
                notice = self._observers.run(job.kind, event)
            except Exception as error:  # an observer may fail in any way; the others go on
                observing.set_status(StatusCode.ERROR, type(error).__name__)
                log.warning("observer_failed", observer=job.kind, event_id=event.event_id, cause=repr(error))
                job.retry(repr(error))
                return None
            if notice is None:
                return None
            return Observation(event, job.kind, notice, tracing.current_traceparent())

    async def _write(self, made: Sequence[tuple[Job, Observation]]) -> None:
        try:
            await self._events.notify([observation for _, observation in made])
        except _REFUSED:
            # One that the database refuses does not hold up the others.
            for job, observation in made:
                try:
                    await self._events.notify([observation])
                except _REFUSED as error:
                    log.warning("notice_refused", observer=job.kind, event_id=observation.event.event_id)
                    job.retry(type(error).__name__)
