"""Every query on notifications as their senders see them; each has its owner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    Integer,
    LargeBinary,
    Text,
    any_,
    bindparam,
    func,
    literal_column,
    select,
)

from chassis import ids
from chassis.storage.database import Database, Query, Row, Transaction, arrays, constant, newest_first
from services.notification.channels.channel import Channel
from services.notification.deliveries.domain import DeliveryState
from services.notification.deliveries.tables import deliveries
from services.notification.notifications.tables import notifications
from services.notification.ownership import Owner, of_owner, of_person
from services.notification.requests.domain import NewMessage
from services.notification.requests.tables import dedupe_keys

_n, _d, _k = notifications.c, deliveries.c, dedupe_keys.c
_RANKED = "ARRAY[" + ", ".join(f"'{state.value}'" for state in DeliveryState) + "]"
_of_notification = _d.notification_id == _n.notification_id
_rank = (
    select(func.min(func.array_position(literal_column(_RANKED), _d.state)))
    .where(_of_notification)
    .correlate(notifications)
    .scalar_subquery()
)
_parts = (
    select(_d.state + constant(" ") + _d.channel)
    .where(_of_notification)
    .order_by(_d.position)
    .correlate(notifications)
    .scalar_subquery()
)
_COLUMNS = (
    "notification_id", "type", "category", "user_id", "channels", "every_channel", "send_at", "expire_at", "duplicate_of", "partner_id",
    "mode", "create_time", "accept_time", "content_sealed", "in_inbox", "template_id", "template_version",
)  # fmt: skip
_ALL = select(*(_n[name] for name in _COLUMNS), func.array(_parts).label("parts"))
_accepted_at = func.coalesce(_n.accept_time, _n.create_time)
_FILTERS = {
    "rank": func.coalesce(_rank, bindparam("sent", type_=Integer)) == bindparam("rank", type_=Integer),
    "category": _n.category == bindparam("category"),
    "user_id": _n.user_id == bindparam("user_id"),
    "created_from": _accepted_at >= bindparam("created_from"),
    "created_to": _accepted_at < bindparam("created_to"),
}


@cache
def _get(kind: str) -> Query:
    return Query(
        _ALL.where(_n.notification_id == bindparam("notification_id"), of_owner(kind, notifications)),
        name="get notification",
    )


@cache
def _lock(kind: str) -> Query:
    return Query(
        select(_n.notification_id)
        .where(_n.notification_id == bindparam("notification_id"), of_owner(kind, notifications))
        .with_for_update(),
        name="lock notification",
    )


@cache
def _list(kind: str, filters: frozenset[str]) -> Query:
    """One statement for each set of filters in use, so that each has its own plan."""
    found = _ALL.where(of_owner(kind, notifications), *(_FILTERS[name] for name in sorted(filters)))
    return Query(newest_first(found, _n.notification_id), name="list notifications")


# any owner: of notifications that the transaction has stored or locked
_LIST_BY_IDS = Query(
    _ALL.where(_n.notification_id == any_(bindparam("notification_ids", type_=ARRAY(Text)))).order_by(
        _n.notification_id
    ),
    name="list notifications by ids",
)
_INSERT = Query(
    "INSERT INTO notifications (notification_id, event_id, observer, user_id, type, subject_id, data, in_inbox, create_time, "
    "partner_id, mode, category, content_sealed, channels, every_channel, send_at, expire_at, duplicate_of, accept_time, template_id, template_version) "
    "SELECT r.id, r.id, '', r.user_id, %(type)s, '', '{}'::jsonb, false, %(due)s, %(partner_id)s, %(mode)s, %(category)s, "
    "r.content, %(channels)s, %(every_channel)s, %(send_at)s, %(expire_at)s, r.duplicate_of, %(now)s, %(template_id)s, %(template_version)s FROM unnest("
    "%(ids)s::text[], %(user_ids)s::text[], %(contents)s::bytea[], %(duplicates_of)s::text[]"
    ") AS r(id, user_id, content, duplicate_of)",
    name="insert requested notifications",
)
_INSERT_DELIVERIES = Query(
    "INSERT INTO deliveries (delivery_id, notification_id, channel, position, state, reason, create_time, update_time) "
    "SELECT r.id, r.notification_id, r.channel, r.position, r.state, r.reason, %(now)s, %(now)s FROM unnest("
    "%(ids)s::text[], %(notification_ids)s::text[], %(channels)s::text[], %(positions)s::int[], %(states)s::text[], "
    "%(reasons)s::text[]) AS r(id, notification_id, channel, position, state, reason)",
    name="insert requested deliveries",
)
# Waits for another transaction with the same key: exactly one of them has it.
_CLAIM_KEYS = Query(
    "INSERT INTO dedupe_keys AS k (key_hash, notification_id, expires_at) SELECT r.key_hash, r.id, %(expires_at)s FROM unnest("
    "%(hashes)s::bytea[], %(ids)s::text[]) AS r(key_hash, id) ORDER BY r.key_hash ON CONFLICT (key_hash) DO UPDATE SET "
    "notification_id = EXCLUDED.notification_id, expires_at = EXCLUDED.expires_at WHERE k.expires_at <= %(now)s "
    "RETURNING k.key_hash",
    name="claim dedupe keys",
)
_LIST_KEYS = Query(
    select(_k.key_hash, _k.notification_id).where(_k.key_hash == any_(bindparam("hashes", type_=ARRAY(LargeBinary)))),
    name="list dedupe keys",
)


_LOCK_PERSON = Query(
    "SELECT pg_advisory_xact_lock(hashtextextended(%(type)s || ' ' || %(user_id)s, 0))",
    name="lock notifications of person",
)
_COUNT = Query(
    select(func.count().label("notifications")).where(
        of_person(notifications), _n.notification_id >= bindparam("since"), _n.type == bindparam("type")
    ),
    name="count notifications of person",
)


@dataclass(frozen=True)
class NewRecord:
    """A notification to store."""

    notification_id: str
    user_id: str
    content_sealed: bytes
    duplicate_of: str
    unreachable: frozenset[Channel] = frozenset()
    """Channels for which it is known now that the recipient has no address."""

    def begins(self, channel: Channel, state: str) -> tuple[str, str]:
        """State and reason of a delivery; `state` is that of one that can be made."""
        if self.duplicate_of:
            return "SKIPPED", "DUPLICATE"
        return ("SKIPPED", "NO_ADDRESS") if channel in self.unreachable else (state, "")


class RequestRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim_keys(
        self, tx: Transaction, keys: Mapping[bytes, str], now: datetime, expires_at: datetime
    ) -> dict[str, str]:
        """Claim keys for notifications; of those whose key another one holds, that one."""
        if not keys:
            return {}
        values = {"hashes": list(keys), "ids": list(keys.values())}
        claimed = {bytes(row.key_hash) for row in await tx.all(_CLAIM_KEYS, now=now, expires_at=expires_at, **values)}
        missed = [key for key in keys if key not in claimed]
        holders = await tx.all(_LIST_KEYS, hashes=missed) if missed else []
        return {keys[bytes(row.key_hash)]: row.notification_id for row in holders}

    async def get(self, owner: Owner, notification_id: str) -> Row | None:
        """The owner's notification, with the states of its deliveries."""
        return await self._database.first(_get(owner.kind), notification_id=notification_id, **owner.values)

    async def _insert_deliveries(
        self, tx: Transaction, records: Sequence[NewRecord], message: NewMessage, state: str, now: datetime
    ) -> None:
        # Sorted, so that those of a notification are in order of preference.
        delivery_ids = iter(sorted(ids.new("dlv", now) for _ in range(len(records) * len(message.channels))))
        rows = [
            (
                next(delivery_ids),
                record.notification_id,
                channel.value,
                position,
                *record.begins(channel, state),
            )
            for record in records
            for position, channel in enumerate(message.channels)
        ]
        names = ("ids", "notification_ids", "channels", "positions", "states", "reasons")
        await tx.run(_INSERT_DELIVERIES, **dict(zip(names, arrays(rows), strict=True)), now=now)

    async def list(self, owner: Owner, limit: int, after: str, filters: Mapping[str, Any]) -> Sequence[Row]:
        """Up to `limit` of the owner's notifications older than `after`, newest first.

        `filters`: `rank` (of the state), `category`, `user_id`, `created_from`, `created_to` (times).
        """
        sent = {"sent": [*DeliveryState].index(DeliveryState.SENT) + 1} if "rank" in filters else {}
        query = _list(owner.kind, frozenset(filters))
        return await self._database.all(query, limit=limit, after=after, **filters, **sent, **owner.values)

    async def get_updated(self, tx: Transaction, notification_ids: Sequence[str]) -> Sequence[Row]:
        """Notifications as seen by a transaction that has stored or changed them, by id."""
        return await tx.all(_LIST_BY_IDS, notification_ids=[*notification_ids])

    async def lock(self, tx: Transaction, owner: Owner, notification_id: str) -> bool:
        """Whether it is the owner's; it is locked until the transaction ends."""
        return await tx.first(_lock(owner.kind), notification_id=notification_id, **owner.values) is not None

    async def count_own(self, tx: Transaction, user_id: str, type: str, since: str) -> int:
        """How many of a type a user has since an id; another one is not stored for them until the transaction ends."""
        await tx.run(_LOCK_PERSON, user_id=user_id, type=type)
        return int((await tx.one(_COUNT, user_id=user_id, type=type, since=since)).notifications)

    async def insert(
        self,
        tx: Transaction,
        records: Sequence[NewRecord],
        message: NewMessage,
        partner_id: str,
        mode: str,
        due: datetime,
        now: datetime,
    ) -> None:
        """Store notifications of one message with their deliveries."""
        columns = arrays([(r.notification_id, r.user_id, r.content_sealed, r.duplicate_of) for r in records])
        values = dict(zip(("ids", "user_ids", "contents", "duplicates_of"), columns, strict=True))
        await tx.run(
            _INSERT,
            **values,
            type=message.type,
            partner_id=partner_id,
            mode=mode,
            category=message.category.value,
            channels=[channel.value for channel in message.channels],
            every_channel=message.every_channel,
            send_at=message.send_at,
            expire_at=message.expire_at,
            due=due,
            now=now,
            template_id=message.template_id,
            template_version=message.template_version,
        )
        await self._insert_deliveries(tx, records, message, "SCHEDULED" if due > now else "ACCEPTED", now)
