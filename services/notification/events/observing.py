"""Runs observers, each in spans of its event's trace."""

from collections.abc import Sequence

from opentelemetry.trace import Span, SpanKind, StatusCode, use_span
from opentelemetry.util.types import AttributeValue
from weft.api.v1.event_pb2 import Event

from chassis.telemetry import logs, tracing
from chassis.telemetry.tracing import Tracer
from services.notification.notifications.notification import NewNotification
from services.notification.observers import Observers

log = logs.logger("observers")


class Observing:
    """A batch of observers that are run, and the spans that stay open until what they made is stored: `with` ends them."""

    def __init__(self, observers: Observers, tracer: Tracer) -> None:
        self._observers = observers
        self._tracer = tracer
        self._spans: list[Span] = []

    def __enter__(self) -> "Observing":
        return self

    def __exit__(self, *_: object) -> None:
        for span in self._spans:
            span.end()

    def names_for(self, event: Event) -> Sequence[str]:
        return self._observers.names_for(event.type)

    def run(self, name: str, event: Event, traceparent: str, attempt: int = 1) -> NewNotification | str | None:
        """What an observer makes of an event, or nothing; a text says why it failed. Never raises."""
        attributes: dict[str, AttributeValue] = {
            "weft.event.id": event.event_id,
            "weft.event.type": event.type,
            "weft.attempt": attempt,
        }
        span = self._tracer.start("process event", traceparent, SpanKind.CONSUMER, attributes)
        self._spans.append(span)
        with use_span(span), self._tracer.span(f"observe {name}") as observing:
            try:
                notification = self._observers.run(name, event)
            except Exception as error:  # an observer may fail in any way; the others go on
                observing.set_status(StatusCode.ERROR, type(error).__name__)
                log.warning("observer_failed", observer=name, event_id=event.event_id, cause=repr(error))
                return repr(error)
            if notification is None:
                return None
            return NewNotification(event, name, notification, tracing.current_traceparent())
