"""Every query on events: each takes effect when it comes, and becomes jobs of those observers that fail."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from weft.api.v1.event_pb2 import Event

from chassis.clock import Clock
from chassis.queues import deduplication
from chassis.queues.announcer import Announcer
from chassis.queues.queue import Backoff, Queue
from chassis.security import modes
from chassis.storage.database import Database, Query, Transaction, arrays
from chassis.values.plain_text import single_line
from services.notification.event_log import catalogue
from services.notification.event_log.repository import EventLogRepository
from services.notification.event_order import by_time
from services.notification.events.observing import Observing
from services.notification.notifications.notification import NewNotification
from services.notification.notifications.repository import REJECTED, NotificationRepository
from services.notification.webhooks import suspensions
from services.notification.webhooks.repository import WebhookRepository

# Due by the database's time, as leases are, in case this process's clock is fast.
_INSERT = Query(
    "INSERT INTO event_jobs (kind, key, payload, traceparent, due, created_at, error) "
    "SELECT r.kind, r.key, r.payload, r.traceparent, LEAST(%(now)s, now()) + make_interval(secs => %(wait)s), %(now)s, r.error "
    "FROM unnest(%(kinds)s::text[], %(keys)s::text[], %(payloads)s::bytea[], %(traceparents)s::text[], %(errors)s::text[]"
    ") AS r(kind, key, payload, traceparent, error) ON CONFLICT (key) DO NOTHING",
    name="insert event jobs",
)


class EventRepository:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        observing: Callable[[], Observing],
        notifications: NotificationRepository,
        event_jobs: Queue,
        webhooks: WebhookRepository,
        lanes: Announcer,
    ) -> None:
        """`lanes` tells the workers that there are webhooks to send."""
        self._database = database
        self._clock = clock
        self._observing = observing
        self._notifications = notifications
        self._event_jobs = event_jobs
        self._log = EventLogRepository(database)
        self._webhooks = webhooks
        self._lanes = lanes

    async def insert(self, events: Iterable[Event]) -> int:
        """Run the observers of new events, store what they made and owe partners theirs, in one transaction; how many were new."""
        by_id: dict[str, Event] = {}
        for event in events:
            by_id.setdefault(event.event_id, event)
        try:
            return await self._insert(by_id, later=False)
        except REJECTED:  # of one event: the worker finds which
            return await self._insert(by_id, later=True)

    async def _insert(self, by_id: Mapping[str, Event], *, later: bool) -> int:
        """`later`: all observers are left to the worker."""
        now = self._clock.now()
        with self._observing() as observing:
            async with self._database.transaction() as tx:
                found = await deduplication.mark(tx, "events", list(by_id), now)
                new = sorted((by_id[event_id] for event_id in found), key=by_time)
                made: list[NewNotification] = []
                failed: list[tuple[str, Event, str]] = []
                for event in new:
                    for name in observing.names_for(event):
                        outcome = "" if later else observing.run(name, event, event.traceparent)
                        if isinstance(outcome, str):
                            failed.append((name, event, single_line(outcome, 500)))
                        elif outcome is not None:
                            made.append(outcome)
                if failed:
                    await self._put(tx, failed, now, wait=0.0 if later else Backoff().first_s)
                await self._suspend_partners(tx, new, now)
                await self._publish_to_partners(tx, [event for event in new if catalogue.is_published(event)], now)
                if made:  # last, so that little time passes from its look at who was erased to the commit
                    await self._notifications.insert(made, tx)
        return len(new)

    async def _put(self, tx: Transaction, failed: Sequence[tuple[str, Event, str]], now: datetime, wait: float) -> None:
        jobs = [
            (name, f"{event.event_id}/{name}", event.SerializeToString(), event.traceparent, error)
            for name, event, error in failed
        ]
        kinds, keys, payloads, traceparents, errors = arrays(jobs)
        values = {"kinds": kinds, "keys": keys, "payloads": payloads, "traceparents": traceparents, "errors": errors}
        await tx.run(_INSERT, **values, now=now, wait=wait)
        tx.after_commit(self._event_jobs.notify)

    async def _suspend_partners(self, tx: Transaction, events: Sequence[Event], now: datetime) -> None:
        for partner_id, (suspended, sequence) in sorted(suspensions.changes(events).items()):
            if await self._webhooks.suspend(tx, partner_id, sequence, now, suspended=suspended):
                tx.after_commit(self._lanes.announce)

    async def _publish_to_partners(self, tx: Transaction, events: Sequence[Event], now: datetime) -> None:
        """Late in the transaction: it may wait for a worker that stores what became of the webhooks before."""
        if not events:
            return
        self._log.insert(tx, events, now)
        owed = [(e.event_id, e.type, e.partner_id, modes.of_message(e.mode), e.traceparent) for e in events]
        if await self._webhooks.owe(tx, owed, now):
            tx.after_commit(self._lanes.announce)
