"""Every query on what providers have said."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ARRAY, Text, any_, bindparam, select

from chassis.storage.database import Query, Transaction, arrays
from services.notification.channels.channel import Channel
from services.notification.deliveries.domain import DeliveryState, Reason
from services.notification.deliveries.repository import GO_ON
from services.notification.delivery_events.domain import DeliveryEvent, Kind
from services.notification.delivery_events.tables import delivery_events

# Locked in one order, and before their events are read: two callers add theirs one after the other.
# any owner: the provider is known by its signature
_LOCK = Query(
    "SELECT d.delivery_id, d.state, d.reason, EXISTS (SELECT FROM attempts a WHERE a.delivery_id = d.delivery_id) AS tried "
    "FROM deliveries d WHERE d.delivery_id = ANY(%(ids)s) AND d.channel = %(channel)s ORDER BY d.delivery_id FOR NO KEY UPDATE",
    name="lock deliveries of events",
)
_INSERT = Query(
    "INSERT INTO delivery_events (provider, event_id, delivery_id, message_id, kind, code, created_at) "
    "SELECT %(provider)s, r.event_id, r.delivery_id, r.message_id, r.kind, r.code, %(now)s FROM unnest(%(event_ids)s::text[], "
    "%(delivery_ids)s::text[], %(message_ids)s::text[], %(kinds)s::text[], %(codes)s::int[]) "
    "AS r(event_id, delivery_id, message_id, kind, code) ON CONFLICT DO NOTHING RETURNING event_id",
    name="insert delivery events",
)
_e = delivery_events.c
_LIST = Query(
    select(_e.delivery_id, _e.message_id, _e.kind).where(
        _e.delivery_id == any_(bindparam("delivery_ids", type_=ARRAY(Text)))
    ),
    name="list delivery events",
)
_UPDATE = Query(
    "UPDATE deliveries d SET state = r.state, reason = r.reason, update_time = %(now)s FROM unnest(%(ids)s::text[], "
    "%(states)s::text[], %(reasons)s::text[]) AS r(delivery_id, state, reason) WHERE d.delivery_id = r.delivery_id",
    name="end deliveries by events",
)


class Found(NamedTuple):
    """A delivery that events are about. `tried`: an attempt is recorded."""

    delivery_id: str
    state: DeliveryState
    reason: Reason
    tried: bool


class DeliveryEventRepository:
    """Events in the database, and the deliveries that they are about."""

    async def list(self, tx: Transaction, delivery_ids: Sequence[str]) -> Mapping[str, Sequence[tuple[str, Kind]]]:
        """What became of the messages of each delivery, by delivery: a message's id, and what."""
        found: dict[str, list[tuple[str, Kind]]] = {}
        for row in await tx.all(_LIST, delivery_ids=[*delivery_ids]):
            found.setdefault(row.delivery_id, []).append((row.message_id, Kind(row.kind)))
        return found

    async def lock(self, tx: Transaction, delivery_ids: Sequence[str], channel: Channel) -> Sequence[Found]:
        """Those of the deliveries that there are in the channel; nobody else changes them meanwhile."""
        rows = await tx.all(_LOCK, ids=[*delivery_ids], channel=channel.value)
        return [Found(row.delivery_id, DeliveryState(row.state), Reason(row.reason), row.tried) for row in rows]

    async def insert(
        self, tx: Transaction, provider: str, events: Sequence[DeliveryEvent], now: datetime
    ) -> Sequence[DeliveryEvent]:
        """Store events, by their ids; returns those that are new."""
        if not events:
            return []
        values = arrays([(e.event_id, e.delivery_id, e.message_id, e.kind.value, e.code) for e in events])
        names = ("event_ids", "delivery_ids", "message_ids", "kinds", "codes")
        rows = await tx.all(_INSERT, provider=provider, now=now, **dict(zip(names, values, strict=True)))
        new = {row.event_id for row in rows}
        return [event for event in events if event.event_id in new]

    async def end(self, tx: Transaction, ends: Mapping[str, tuple[DeliveryState, Reason]], now: datetime) -> None:
        """Store states and reasons of locked deliveries, by their ids; what waits for one of them goes on."""
        rows = [(delivery_id, state.value, reason.value) for delivery_id, (state, reason) in ends.items()]
        ids, states, reasons = arrays(rows)
        await tx.run(_UPDATE, ids=ids, states=states, reasons=reasons, now=now)
        await tx.run(GO_ON, ids=ids, now=now)
