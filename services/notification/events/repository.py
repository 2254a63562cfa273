"""Every query of events and of what observers make of them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from weft.api.v1.event_pb2 import Event

from chassis import ids, times
from chassis.clock import Clock
from chassis.queues import deduplication
from chassis.queues.queue import Queue
from chassis.storage.database import Database, Query, arrays
from services.notification.observers import Channel, Notice, Observers

# Due by the database's time, should this process's clock be fast: leases go by that one.
_OBSERVE = Query(
    "INSERT INTO observations (kind, key, payload, traceparent, due, created_at) "
    "SELECT r.kind, r.key, r.payload, r.traceparent, LEAST(%(now)s, now()), %(now)s FROM unnest("
    "%(kinds)s::text[], %(keys)s::text[], %(payloads)s::bytea[], %(traceparents)s::text[]"
    ") AS r(kind, key, payload, traceparent) ON CONFLICT (key) DO NOTHING",
    name="queue observations",
)

# One statement: a notification, its delivery and the mail's job exist together, and once for an event and observer.
_NOTIFY = Query(
    "WITH given AS (SELECT notification_id, event_id, observer, user_id, type, subject_id, facts, in_inbox, create_time, "
    "delivery_id, traceparent FROM unnest("
    "%(notification_ids)s::text[], %(event_ids)s::text[], %(observers)s::text[], %(user_ids)s::text[], "
    "%(types)s::text[], %(subject_ids)s::text[], %(facts)s::jsonb[], %(in_inbox)s::boolean[], "
    "%(create_times)s::timestamptz[], %(delivery_ids)s::text[], %(traceparents)s::text[]"
    ") AS g(notification_id, event_id, observer, user_id, type, subject_id, facts, in_inbox, create_time, delivery_id, "
    "traceparent)), added AS ("
    "INSERT INTO notifications "
    "(notification_id, event_id, observer, user_id, type, subject_id, facts, in_inbox, create_time) "
    "SELECT notification_id, event_id, observer, user_id, type, subject_id, facts, in_inbox, create_time FROM given "
    "ORDER BY event_id, observer ON CONFLICT (event_id, observer) DO NOTHING RETURNING notification_id"
    "), delivered AS ("
    "INSERT INTO deliveries (delivery_id, notification_id, channel, state, create_time, update_time) "
    "SELECT g.delivery_id, g.notification_id, 'EMAIL', 'QUEUED', %(now)s, %(now)s "
    "FROM given g JOIN added USING (notification_id) WHERE g.delivery_id <> ''"
    ") INSERT INTO mails (kind, key, payload, traceparent, due, created_at) "
    "SELECT g.type, g.delivery_id, '', g.traceparent, LEAST(%(now)s, now()), %(now)s "
    "FROM given g JOIN added USING (notification_id) WHERE g.delivery_id <> ''",
    name="notify",
)

_GIVEN = (
    "notification_ids",
    "event_ids",
    "observers",
    "user_ids",
    "types",
    "subject_ids",
    "facts",
    "in_inbox",
    "create_times",
    "delivery_ids",
    "traceparents",
)
"""The parameters of `_NOTIFY`, as `_row` gives them."""


@dataclass(frozen=True)
class Observation:
    """What an observer made of an event, and the `traceparent` for what follows from it."""

    event: Event
    observer: str
    notice: Notice
    traceparent: str


class EventRepository:
    """Events and notifications in the database."""

    def __init__(
        self, database: Database, clock: Clock, observers: Observers, observations: Queue, mails: Queue
    ) -> None:
        self._database = database
        self._clock = clock
        self._observers = observers
        self._observations = observations
        self._mails = mails

    async def take(self, events: Iterable[Event]) -> int:
        """Queue the events that are new for each of their observers, in one transaction; how many were new."""
        by_id: dict[str, Event] = {}
        for event in events:
            by_id.setdefault(event.event_id, event)
        now = self._clock.now()
        async with self._database.transaction() as tx:
            new = await deduplication.mark(tx, "events", list(by_id), now)
            jobs = [
                (name, f"{event.event_id}/{name}", event.SerializeToString(), event.traceparent)
                for event in sorted((by_id[id] for id in new), key=_moment)
                for name in self._observers.names_for(event.type)
            ]
            if jobs:
                kinds, keys, payloads, traceparents = arrays(jobs)
                await tx.run(_OBSERVE, kinds=kinds, keys=keys, payloads=payloads, traceparents=traceparents, now=now)
        if jobs:
            self._observations.notify()
        return len(new)

    async def notify(self, observations: Sequence[Observation]) -> None:
        """Write down notices with their deliveries, leaving out those that an event and observer have given already."""
        now = self._clock.now()
        ordered = sorted(observations, key=lambda made: _moment(made.event))
        # Dated by the event, so that notices which were reordered on the way lie in the inbox as things happened;
        # sorted ids keep the order within a millisecond.
        moments = [min(times.clamped(made.event.occur_time), now) for made in ordered]
        identifiers = sorted(ids.new("ntf", moment) for moment in moments)
        rows = [_row(*given, now) for given in zip(ordered, identifiers, moments, strict=True)]
        columns = dict(zip(_GIVEN, arrays(rows), strict=True))
        if await self._database.run(_NOTIFY, **columns, now=now):
            self._mails.notify()


def _row(made: Observation, notification_id: str, happened: datetime, now: datetime) -> tuple[Any, ...]:
    """The values of `_GIVEN`."""
    notice = made.notice
    return (
        notification_id,
        made.event.event_id,
        made.observer,
        notice.user_id,
        notice.type,
        notice.subject_id,
        json.dumps(dict(notice.facts)),
        Channel.INBOX in notice.channels,
        happened,
        ids.new("dlv", now) if Channel.EMAIL in notice.channels else "",
        made.traceparent,
    )


def _moment(event: Event) -> tuple[int, int, str, int]:
    """Orders events by time, and those of one moment and aggregate by their sequence."""
    return event.occur_time.seconds, event.occur_time.nanos, event.aggregate_id, event.sequence
