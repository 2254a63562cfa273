"""Every query on events: each is stored as jobs for its observers."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from weft.api.v1.event_pb2 import Event

from chassis.clock import Clock
from chassis.queues import deduplication
from chassis.queues.announcer import Announcer
from chassis.queues.queue import Queue
from chassis.security import modes
from chassis.storage.database import Database, Query, Transaction, arrays
from services.notification.event_log import catalogue
from services.notification.event_log.repository import EventLog
from services.notification.event_order import by_time
from services.notification.observers import Observers
from services.notification.webhooks.repository import WebhookRepository

# Due by the database's time, as leases are, in case this process's clock is fast.
_INSERT = Query(
    "INSERT INTO event_jobs (kind, key, payload, traceparent, due, created_at) "
    "SELECT r.kind, r.key, r.payload, r.traceparent, LEAST(%(now)s, now()), %(now)s FROM unnest("
    "%(kinds)s::text[], %(keys)s::text[], %(payloads)s::bytea[], %(traceparents)s::text[]"
    ") AS r(kind, key, payload, traceparent) ON CONFLICT (key) DO NOTHING",
    name="insert event jobs",
)


class EventRepository:
    """Events in the database."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        observers: Observers,
        event_jobs: Queue,
        webhooks: WebhookRepository,
        lanes: Announcer,
    ) -> None:
        """`lanes` tells the workers that there are webhooks to send."""
        self._database = database
        self._clock = clock
        self._observers = observers
        self._event_jobs = event_jobs
        self._log = EventLog(database)
        self._webhooks = webhooks
        self._lanes = lanes

    async def insert(self, events: Iterable[Event]) -> int:
        """Queue new events for each of their observers, in one transaction, and owe partners theirs; returns how many were new."""
        by_id: dict[str, Event] = {}
        for event in events:
            by_id.setdefault(event.event_id, event)
        now = self._clock.now()
        async with self._database.transaction() as tx:
            found = await deduplication.mark(tx, "events", list(by_id), now)
            new = sorted((by_id[event_id] for event_id in found), key=by_time)
            jobs = [
                (name, f"{event.event_id}/{name}", event.SerializeToString(), event.traceparent)
                for event in new
                for name in self._observers.names_for(event.type)
            ]
            if jobs:
                kinds, keys, payloads, traceparents = arrays(jobs)
                await tx.run(_INSERT, kinds=kinds, keys=keys, payloads=payloads, traceparents=traceparents, now=now)
                tx.after_commit(self._event_jobs.notify)
            await self._tell_partners(tx, [event for event in new if catalogue.is_told(event)], now)
        return len(new)

    async def _tell_partners(self, tx: Transaction, events: Sequence[Event], now: datetime) -> None:
        """The last part of the transaction: it may wait for a worker that stores what became of the webhooks before."""
        if not events:
            return
        await self._log.insert(tx, events, now)
        told = [(e.event_id, e.type, e.partner_id, modes.of_message(e.mode), e.traceparent) for e in events]
        if await self._webhooks.owe(tx, told, now):
            tx.after_commit(self._lanes.announce)
