"""The outbox: events are written in the transaction of the change and published by a relay afterwards."""

from collections.abc import Awaitable, Callable, Sequence
from time import time
from typing import Any

from google.protobuf.message import DecodeError, Message
from grpc import StatusCode
from opentelemetry.trace import SpanKind
from prometheus_client import Histogram
from weft.api.v1 import event_pb2
from weft_client.calls.breaker import Breaker, BreakerOpen
from weft_client.errors import WeftError

from chassis import ids
from chassis.clock import Clock
from chassis.queues.queue import Job, Queue
from chassis.security import modes
from chassis.storage.database import Transaction
from chassis.telemetry import tracing
from chassis.telemetry.logs import logger
from chassis.telemetry.tracing import Tracer
from chassis.times import timestamp

log = logger("outbox")
DELAY = Histogram(
    "weft_outbox_delay_seconds",
    "From the change to the receiver's word that it has the event.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600),
)
_EVENT_FAULTS = frozenset(
    {
        StatusCode.INVALID_ARGUMENT,
        StatusCode.FAILED_PRECONDITION,
        StatusCode.OUT_OF_RANGE,
        StatusCode.INTERNAL,  # one event may trigger a fault that the others do not
        StatusCode.UNKNOWN,
        StatusCode.RESOURCE_EXHAUSTED,  # without a reason: a message that is too large
    }
)
MAX_EVENTS = 250
"""Of a batch, as `PublishEventsRequest` allows. Where cores are short a round takes long, and what came meanwhile must fit into the next."""
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
    mode: str = modes.LIVE,
    traceparent: str | None = None,
) -> event_pb2.Event:
    """A new event. `type` is in the past tense, as `order.placed`; `sequence` counts the aggregate's events from 1."""
    now = clock.now()
    made = event_pb2.Event(
        event_id=ids.new("evt", now),
        type=type,
        aggregate_id=aggregate_id,
        sequence=sequence,
        actor=actor,
        user_id=user_id,
        partner_id=partner_id,
        mode=modes.to_message(mode),
        traceparent=tracing.current_traceparent() if traceparent is None else traceparent,
        occur_time=timestamp(now),
    )
    made.payload.Pack(payload)
    return made


class Outbox:
    """The transactional outbox of a service."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue

    async def put(self, tx: Transaction, event: event_pb2.Event) -> None:
        """Write an event in the caller's transaction, whose commit notifies the relay."""
        await self.queue.put(tx, kind=event.type, payload=event.SerializeToString(), traceparent=event.traceparent)

    def notify(self) -> None:
        """Notify the relay, after statements of your own have inserted events."""
        self.queue.notify()


class Relay:
    """Publishes leased events in batches. The receiver de-duplicates, so a batch may be sent twice.

    A rejected batch is bisected until the event at fault is alone: that one is retried with backoff, and never given up.
    While the receiver is unavailable the breaker is open, and events are deferred until it closes.
    """

    def __init__(self, publish: Publish, tracer: Tracer) -> None:
        self._publish = publish
        self._tracer = tracer
        self.breaker = Breaker("event relay", failures=1, first_pause_s=0.5)

    async def __call__(self, jobs: Sequence[Job]) -> None:
        """Publish a batch. Each event gets a span in its own trace, which becomes the parent of its processing."""
        spans, events = [], []
        for job in jobs:
            try:
                event = event_pb2.Event.FromString(job.payload)
            except DecodeError:
                job.dead("the payload is not an event")
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
        try:
            self.breaker.acquire()
        except BreakerOpen:
            return _defer(events, "the receiver is unavailable")
        try:
            await self._publish([event for _, event in events])
        except WeftError as error:
            if _is_unavailable(error):
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
                    "event_rejected", event_id=event.event_id, type=event.type, cause=error.reason or error.code.name
                )
                job.retry(error.reason or error.code.name)
        except BaseException:
            self.breaker.cancelled()
            raise
        else:
            self.breaker.succeeded()
            now = time()
            for _, event in events:
                DELAY.observe(max(0.0, now - event.occur_time.seconds - event.occur_time.nanos / 1e9))
        return None


def _is_unavailable(error: WeftError) -> bool:
    """Whether the receiver or the network is at fault, and not the events."""
    return error.code not in _EVENT_FAULTS or (error.code is StatusCode.RESOURCE_EXHAUSTED and bool(error.reason))


def _defer(events: Sequence[tuple[Job, event_pb2.Event]], why: str) -> None:
    for job, _ in events:
        job.defer(why)
