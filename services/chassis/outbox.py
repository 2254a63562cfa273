"""The outbox: events are written in the transaction of the change and published by a relay afterwards."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from google.protobuf.message import Message
from opentelemetry.trace import SpanKind
from weft.api.v1 import event_pb2

from services.chassis import ids, telemetry
from services.chassis.clock import Clock
from services.chassis.database import Transaction
from services.chassis.telemetry import Tracer
from services.chassis.work import Job, Queue

Publish = Callable[[Sequence[event_pb2.Event]], Awaitable[Any]]


def event(
    clock: Clock,
    *,
    type: str,
    aggregate_id: str,
    sequence: int,
    payload: Message,
    actor: str,
    user_id: str = "",
    partner_id: str = "",
    traceparent: str | None = None,
) -> event_pb2.Event:
    """An event of now. `type` is a past fact such as `order.placed`; `sequence` counts the aggregate's events from 1."""
    now = clock.now()
    made = event_pb2.Event(
        event_id=ids.new("evt", now),
        type=type,
        aggregate_id=aggregate_id,
        sequence=sequence,
        actor=actor,
        user_id=user_id,
        partner_id=partner_id,
        traceparent=telemetry.current_traceparent() if traceparent is None else traceparent,
    )
    made.occur_time.FromDatetime(now)
    made.payload.Pack(payload)
    return made


class Outbox:
    """Where a service puts its events."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue

    async def put(self, tx: Transaction, event: event_pb2.Event) -> None:
        """Write an event in the caller's transaction; call `wake` after the commit."""
        await self.queue.put(tx, kind=event.type, payload=event.SerializeToString(), traceparent=event.traceparent)

    def wake(self) -> None:
        """After the commit: the relay has something to do."""
        self.queue.wake()


class Relay:
    """Publishes leased events in batches. The receiver drops what it has seen, so a batch may be sent twice."""

    def __init__(self, publish: Publish, tracer: Tracer) -> None:
        self._publish = publish
        self._tracer = tracer

    async def __call__(self, jobs: Sequence[Job]) -> None:
        """Send a batch. Each event gets a span in its own trace, and hands that on as its parent."""
        spans, events = [], []
        for job in jobs:
            event = event_pb2.Event.FromString(job.payload)
            span = self._tracer.start(f"publish {event.type}", job.traceparent, SpanKind.PRODUCER)
            event.traceparent = telemetry.write_traceparent(span)
            spans.append(span)
            events.append(event)
        try:
            await self._publish(events)
        finally:
            for span in spans:
                span.end()
