"""Every query on the inbox; each has its owner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, Text, any_, bindparam, func, literal, select, update

from chassis.storage.database import Database, Query, Row, newest_first
from services.notification.notifications.tables import notifications
from services.notification.ownership import of_user

MAX_TAIL = 1000
"""Rows in one read of the tail."""
_OWNED = of_user(notifications) & notifications.c.in_inbox
_UNREAD = notifications.c.read_time.is_(None)
_n = notifications.c
_COLUMNS = (
    _n.notification_id, _n.type, _n.subject_id, _n.data, _n.create_time, _n.read_time, _n.content_sealed, _n.template_id,
    _n.template_version, literal(0).label("shown_xid"),
)  # fmt: skip
_FILTERS = {"unread": _UNREAD}


@cache
def _list(filters: frozenset[str]) -> Query:
    """One statement for each set of filters in use, so that each has its own plan."""
    found = select(*_COLUMNS).where(_OWNED, *(_FILTERS[name] for name in sorted(filters)))
    return Query(newest_first(found, _n.notification_id), name="list inbox")


_COUNT_UNREAD = Query(select(func.count().label("unread")).where(_OWNED, _UNREAD), name="count unread")
_MARK_READ = Query(
    update(notifications)
    .where(_OWNED, _UNREAD, notifications.c.notification_id == any_(bindparam("ids", type_=ARRAY(Text))))
    .values(read_time=bindparam("now")),
    name="mark read",
)

# any owner: the user's own, in LIVE as `of_user` says
_LIST_SHOWN = Query(
    "SELECT notification_id, type, subject_id, data, create_time, read_time, content_sealed, template_id, template_version, "
    "shown_xid::text::bigint AS shown_xid FROM notifications WHERE user_id = %(user_id)s AND mode = 'LIVE' AND in_inbox "
    "AND (shown_xid, notification_id) > (%(xid)s::text::xid8, %(notification_id)s) "
    "AND shown_xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY notifications.shown_xid, notification_id LIMIT %(limit)s",
    name="list newly shown",
)

# Only what is older than every open transaction: what commits later comes later, whatever its number.
_HEAD = Query("SELECT (pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1) AS xid", name="inbox head")
# any owner: the tail only wakes watchers, who read their own
_TAIL = Query(
    "SELECT user_id, shown_xid::text::bigint AS xid FROM notifications WHERE in_inbox AND mode = 'LIVE' "  # noqa: S608 - our own number
    "AND shown_xid > %(xid)s::text::xid8 AND shown_xid < pg_snapshot_xmin(pg_current_snapshot()) "
    f"ORDER BY notifications.shown_xid LIMIT {MAX_TAIL}",
    name="tail of inboxes",
)


@dataclass(frozen=True)
class InboxItem:
    """A notification in the inbox: `data` holds the variables of its template, unless it has a content of its own."""

    notification_id: str
    type: str
    subject_id: str
    data: dict[str, Any]
    create_time: datetime
    read_time: datetime | None
    content_sealed: bytes | None
    template_id: str
    template_version: int
    shown_xid: int
    """The transaction that has put it into the inbox; 0 in lists."""


class InboxRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, user_id: str, limit: int, after: str, filters: Mapping[str, Any]) -> Sequence[InboxItem]:
        """Up to `limit` items of a user older than `after`, newest first. `filters`: `unread`."""
        query = _list(frozenset(filters))
        rows = await self._database.all(query, user_id=user_id, limit=limit, after=after)
        return [_read(row) for row in rows]

    async def list_shown(self, user_id: str, xid: int, notification_id: str, limit: int) -> Sequence[InboxItem]:
        """What was put into the inbox after a position, in the order of commits, up to what is sure to be complete."""
        values = {"xid": str(xid), "notification_id": notification_id, "limit": limit}
        return [_read(row) for row in await self._database.all(_LIST_SHOWN, user_id=user_id, **values)]

    async def head(self) -> int:
        """The newest transaction before which everything is complete."""
        return int((await self._database.one(_HEAD)).xid)

    async def tail(self, xid: int) -> Sequence[Row]:
        """`user_id` and `xid` of what was put into inboxes after a transaction, up to `MAX_TAIL` in the order of commits."""
        return await self._database.all(_TAIL, xid=str(xid))

    async def count_unread(self, user_id: str) -> int:
        return int((await self._database.one(_COUNT_UNREAD, user_id=user_id)).unread)

    async def mark_read(self, user_id: str, notification_ids: Sequence[str], now: datetime) -> None:
        """Ignores the ids of others; items that are read already keep their time."""
        await self._database.run(_MARK_READ, user_id=user_id, ids=[*notification_ids], now=now)


def _read(row: Row) -> InboxItem:
    return InboxItem(**row._asdict())
