"""The outbox: events are written in the transaction of the change and published by a relay afterwards."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from google.protobuf.message import DecodeError, Message
from grpc import StatusCode
from opentelemetry.trace import SpanKind
from weft.api.v1 import event_pb2
from weft_client.calls.breaker import Breaker
from weft_client.errors import WeftError

from chassis import ids
from chassis.clock import Clock
from chassis.queues.queue import Job, Queue
from chassis.storage.database import Transaction
from chassis.telemetry import tracing
from chassis.telemetry.logs import logger
from chassis.telemetry.tracing import Tracer

log = logger("outbox")
_EVENT_FAULTS = frozenset(
    {
        StatusCode.INVALID_ARGUMENT,
        StatusCode.FAILED_PRECONDITION,
        StatusCode.OUT_OF_RANGE,
        StatusCode.INTERNAL,  # one event may trip what the others do not
        StatusCode.UNKNOWN,
        StatusCode.RESOURCE_EXHAUSTED,  # without a reason: a message that is too large
    }
)
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
        traceparent=tracing.current_traceparent() if traceparent is None else traceparent,
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

    def notify(self) -> None:
        """After the commit: the relay has something to do."""
        self.queue.notify()


class Relay:
    """Publishes leased events in batches. The receiver drops what it has seen, so a batch may be sent twice.

    A batch that is refused is divided, until the event that is to blame stands alone: that one backs off, and is never
    given up. While the receiver is away the breaker is open, and no event waits longer than that.
    """

    def __init__(self, publish: Publish, tracer: Tracer) -> None:
        self._publish = publish
        self._tracer = tracer
        self.breaker = Breaker("event relay", failures=1, first=0.5, most=5.0)

    async def __call__(self, jobs: Sequence[Job]) -> None:
        """Send a batch. Each event gets a span in its own trace, and hands that on as its parent."""
        spans, events = [], []
        for job in jobs:
            try:
                event = event_pb2.Event.FromString(job.payload)
            except DecodeError:
                job.dead("the payload is no event")
                continue
            span = self._tracer.start(f"publish {event.type}", job.traceparent, SpanKind.PRODUCER)
            event.traceparent = tracing.write_traceparent(span)
            spans.append(span)
            events.append((job, event))
        try:
            await self._send(events)
        finally:
            for span in spans:
                span.end()

    async def _send(self, events: Sequence[tuple[Job, event_pb2.Event]]) -> None:
        if not events:
            return None
        if self.breaker.enter():
            return _defer(events, "the receiver is away")
        try:
            await self._publish([event for _, event in events])
        except WeftError as error:
            if _away(error):
                self.breaker.failed()
                return _defer(events, error.reason or error.code.name)
            self.breaker.succeeded()
            if len(events) > 1:
                middle = len(events) // 2
                await self._send(events[:middle])
                await self._send(events[middle:])
            else:
                ((job, event),) = events
                log.error(
                    "event_refused", event_id=event.event_id, type=event.type, cause=error.reason or error.code.name
                )
                job.retry(error.reason or error.code.name)
        except BaseException:
            self.breaker.left()
            raise
        else:
            self.breaker.succeeded()
        return None


def _away(error: WeftError) -> bool:
    """Whether the receiver or the way to it is to blame, and not what it was sent."""
    return error.code not in _EVENT_FAULTS or (error.code is StatusCode.RESOURCE_EXHAUSTED and bool(error.reason))


def _defer(events: Sequence[tuple[Job, event_pb2.Event]], why: str) -> None:
    for job, _ in events:
        job.defer(why)
