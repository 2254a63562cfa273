"""Every query on notifications as their senders see them; each has its owner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from chassis import ids
from chassis.storage.database import Database, Query, Row, Transaction, arrays
from services.notification.deliveries.domain import DeliveryState
from services.notification.ownership import KINDS, OF_PERSON, Owner, notifications_of
from services.notification.requests.domain import NewMessage

_RANKED = "ARRAY[" + ", ".join(f"'{state.value}'" for state in DeliveryState) + "]"
_RANK = (
    f"(SELECT min(array_position({_RANKED}, d.state)) FROM deliveries d "  # noqa: S608 - our own names
    "WHERE d.notification_id = n.notification_id)"
)
_SELECT = (
    "SELECT n.notification_id, n.type, n.category, n.user_id, n.channels, n.every_channel, n.send_at, n.expire_at, "
    "n.duplicate_of, n.partner_id, n.mode, n.create_time, n.accept_time, n.content_sealed, n.in_inbox, n.template_id, n.template_version, ARRAY(SELECT "
    "d.state || ' ' || d.channel FROM deliveries d WHERE d.notification_id = n.notification_id ORDER BY d.position) AS parts "
    "FROM notifications n"
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
_KEY_HOLDERS = Query(
    "SELECT key_hash, notification_id FROM dedupe_keys WHERE key_hash = ANY(%(hashes)s::bytea[])",
    name="find dedupe keys",
)
_FILTERS = {
    "rank": f"COALESCE({_RANK}, %(sent)s) = %(rank)s",
    "category": "n.category = %(category)s",
    "user_id": "n.user_id = %(user_id)s",
    "created_from": "COALESCE(n.accept_time, n.create_time) >= %(created_from)s",
    "created_to": "COALESCE(n.accept_time, n.create_time) < %(created_to)s",
}
_GET = {
    kind: Query(f"{_SELECT} WHERE n.notification_id = %(id)s AND {notifications_of(kind)}", name="get notification")
    for kind in KINDS
}
_LOCK = {
    kind: Query(
        "SELECT n.notification_id FROM notifications n WHERE n.notification_id = %(id)s "  # noqa: S608 - our own names
        f"AND {notifications_of(kind)} FOR UPDATE OF n",
        name="lock notification",
    )
    for kind in KINDS
}
_TURN = Query("SELECT pg_advisory_xact_lock(hashtextextended(%(type)s || ' ' || %(user_id)s, 0))", name="turn")
_COUNT_OWN = Query(
    f"SELECT count(*) AS n FROM notifications WHERE {OF_PERSON} AND notification_id >= %(since)s AND type = %(type)s",  # noqa: S608 - our own names
    name="count own notifications",
)
_LIST_BY_ID = Query(
    f"{_SELECT} WHERE n.notification_id = ANY(%(ids)s)", name="list sent notifications"
)  # any owner: own


@cache
def _list(kind: str, filters: frozenset[str]) -> Query:
    """One statement for each set of filters in use, so that each has its own plan."""
    where = " AND ".join([notifications_of(kind), *(_FILTERS[name] for name in sorted(filters))])
    return Query(
        f"{_SELECT} WHERE {where} AND n.notification_id < %(after)s ORDER BY n.notification_id DESC LIMIT %(limit)s",
        name="list notifications",
    )


@dataclass(frozen=True)
class NewRecord:
    """A notification to store."""

    notification_id: str
    user_id: str
    content_sealed: bytes
    duplicate_of: str


class RequestRepository:
    """Notifications in the database."""

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
        holders = await tx.all(_KEY_HOLDERS, hashes=missed) if missed else []
        return {keys[bytes(row.key_hash)]: row.notification_id for row in holders}

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
                "SKIPPED" if record.duplicate_of else state,
                "DUPLICATE" if record.duplicate_of else "",
            )
            for record in records
            for position, channel in enumerate(message.channels)
        ]
        names = ("ids", "notification_ids", "channels", "positions", "states", "reasons")
        await tx.run(_INSERT_DELIVERIES, **dict(zip(names, arrays(rows), strict=True)), now=now)

    async def get(self, owner: Owner, notification_id: str) -> Row | None:
        """One of the owner's."""
        return await self._database.first(_GET[owner.kind], id=notification_id, **owner.values)

    async def get_many(self, tx: Transaction, notification_ids: Sequence[str]) -> Sequence[Row]:
        """Those that this transaction has stored, by id."""
        return sorted(await tx.all(_LIST_BY_ID, ids=[*notification_ids]), key=lambda row: str(row.notification_id))

    async def count_own(self, tx: Transaction, user_id: str, type: str, since: str) -> int:
        """How many of a type a user has since an id; another one is not stored for them until the transaction ends."""
        await tx.run(_TURN, user_id=user_id, type=type)
        return int((await tx.one(_COUNT_OWN, user_id=user_id, type=type, since=since)).n)

    async def lock(self, tx: Transaction, owner: Owner, notification_id: str) -> bool:
        """Whether it is one of the owner's; nobody else changes it meanwhile."""
        return await tx.first(_LOCK[owner.kind], id=notification_id, **owner.values) is not None

    async def list(self, owner: Owner, limit: int, after: str, filters: Mapping[str, Any]) -> Sequence[Row]:
        """Up to `limit` older than `after`, newest first; `filters` by the names of `_FILTERS`."""
        sent = {"sent": [*DeliveryState].index(DeliveryState.SENT) + 1} if "rank" in filters else {}
        query = _list(owner.kind, frozenset(filters))
        return await self._database.all(query, limit=limit, after=after, **filters, **sent, **owner.values)
