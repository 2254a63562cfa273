"""Stores events as jobs for their observers."""

from collections.abc import Iterable

from weft.api.v1.event_pb2 import Event

from chassis.clock import Clock
from chassis.queues import deduplication
from chassis.queues.queue import Queue
from chassis.storage.database import Database, Query, arrays
from services.notification.event_order import by_time
from services.notification.observers import Observers

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

    def __init__(self, database: Database, clock: Clock, observers: Observers, event_jobs: Queue) -> None:
        self._database = database
        self._clock = clock
        self._observers = observers
        self._event_jobs = event_jobs

    async def insert(self, events: Iterable[Event]) -> int:
        """Queue new events for each of their observers, in one transaction; returns the number of new events."""
        by_id: dict[str, Event] = {}
        for event in events:
            by_id.setdefault(event.event_id, event)
        now = self._clock.now()
        async with self._database.transaction() as tx:
            new = await deduplication.mark(tx, "events", list(by_id), now)
            jobs = [
                (name, f"{event.event_id}/{name}", event.SerializeToString(), event.traceparent)
                for event in sorted((by_id[event_id] for event_id in new), key=by_time)
                for name in self._observers.names_for(event.type)
            ]
            if jobs:
                kinds, keys, payloads, traceparents = arrays(jobs)
                await tx.run(_INSERT, kinds=kinds, keys=keys, payloads=payloads, traceparents=traceparents, now=now)
        if jobs:
            self._event_jobs.notify()
        return len(new)
