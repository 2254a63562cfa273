"""HandleDeliveryEvent: what providers say of messages later."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from google.protobuf import empty_pb2
from prometheus_client import Counter
from weft.notification.v1 import provider_service_pb2 as pb

from chassis.clock import Clock
from chassis.queues.queue import Queue
from chassis.rpc.call import Call
from chassis.storage.database import Database, Transaction
from services.notification.channels.channel import Channel
from services.notification.delivery_events.domain import (
    SUPPRESSED_BY,
    DeliveryEvent,
    EventSignatureInvalid,
    ProviderNotFound,
    end_of,
)
from services.notification.delivery_events.repository import DeliveryEventRepository
from services.notification.suppressions.repository import SuppressionRepository

EVENTS = Counter("weft_delivery_events", "Events of providers of mail and texts by outcome.", ["provider", "outcome"])
BATCH = 500
"""Events in one transaction."""


class Provider(Protocol):
    """Verifies and reads the requests of one provider, which sends by one channel."""

    @property
    def channel(self) -> Channel: ...

    def read(self, body: bytes, header: Callable[[str], str], delivery_id: str, now: float) -> Sequence[DeliveryEvent]:
        """The events of a request at `now`, seconds since 1970. Raises `EventSignatureInvalid` and `EventMalformed`."""
        ...


class ProviderHandlers:
    """weft.notification.v1.ProviderService."""

    def __init__(
        self,
        database: Database,
        suppressions: SuppressionRepository,
        dispatch_jobs: Queue,
        clock: Clock,
        providers: Mapping[str, Provider],
    ) -> None:
        self._database = database
        self._events = DeliveryEventRepository()
        self._suppressions = suppressions
        self._dispatch_jobs = dispatch_jobs
        self._clock = clock
        self._providers = providers
        for name in providers:
            EVENTS.labels(name, "badly signed")  # from zero on: the first ones are an increase, which an alert asks for

    async def HandleDeliveryEvent(self, request: pb.HandleDeliveryEventRequest, call: Call) -> empty_pb2.Empty:
        """Answered once the events are stored, with what follows from them."""
        name = request.provider
        provider = self._providers.get(name)
        if provider is None:
            raise ProviderNotFound(provider=name)
        try:
            events = provider.read(request.body.data, call.header, request.delivery_id, self._clock.now().timestamp())
        except EventSignatureInvalid:
            EVENTS.labels(name, "badly signed").inc()
            raise
        for start in range(0, len(events), BATCH):
            await self._store(name, provider.channel, events[start : start + BATCH])
        return empty_pb2.Empty()

    async def _store(self, name: str, channel: Channel, events: Sequence[DeliveryEvent]) -> None:
        now = self._clock.now()
        async with self._database.transaction() as tx:
            found = {
                each.delivery_id: each for each in await self._events.lock(tx, [e.delivery_id for e in events], channel)
            }
            ours = [event for event in events if event.delivery_id in found]
            new = await self._events.insert(tx, name, ours, now)
            told = await self._events.list(tx, [*{event.delivery_id for event in new}])
            ends = {}
            for delivery_id, about in told.items():
                before = found[delivery_id]
                end = end_of(before.state, before.reason, about, repeated=before.tried)
                if end != (before.state, before.reason):
                    ends[delivery_id] = end
            if ends:
                await self._events.end(tx, ends, now)
                tx.after_commit(self._dispatch_jobs.notify)
            await self._suppress(tx, channel, new)
        EVENTS.labels(name, "not ours").inc(len(events) - len(ours))
        EVENTS.labels(name, "repeated").inc(len(ours) - len(new))
        EVENTS.labels(name, "stored").inc(len(new))

    async def _suppress(self, tx: Transaction, channel: Channel, events: Sequence[DeliveryEvent]) -> None:
        now, found = self._clock.now(), {}
        for event in events:
            if event.address and (reason := SUPPRESSED_BY.get(event.kind)):
                found[self._suppressions.lookup(event.address), reason] = event.delivery_id
        for (lookup, reason), delivery_id in sorted(found.items(), key=lambda each: each[0][0]):
            await self._suppressions.insert_if_absent(tx, channel, lookup, reason, now, delivery_id)
