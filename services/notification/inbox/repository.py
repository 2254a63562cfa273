"""Every query of the inbox; each carries its owner."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Text, any_, bindparam, func, select, update

from chassis.storage.database import Database, Query
from services.notification.deliveries.tables import notifications

_OWN = (notifications.c.user_id == bindparam("user_id")) & notifications.c.in_inbox
_UNREAD = notifications.c.read_time.is_(None)
_PAGE = (
    select(
        notifications.c.notification_id,
        notifications.c.type,
        notifications.c.subject_id,
        notifications.c.facts,
        notifications.c.create_time,
        notifications.c.read_time,
    )
    .where(_OWN, notifications.c.notification_id < bindparam("after"))
    .order_by(notifications.c.notification_id.desc())
    .limit(bindparam("size"))
)
_LIST = Query(_PAGE, name="list inbox")
_LIST_UNREAD = Query(_PAGE.where(_UNREAD), name="list unread")
_COUNT = Query(select(func.count().label("unread")).where(_OWN, _UNREAD), name="count unread")
_MARK = Query(
    update(notifications)
    .where(_OWN, _UNREAD, notifications.c.notification_id == any_(bindparam("ids", type_=ARRAY(Text))))
    .values(read_time=bindparam("now")),
    name="mark read",
)

LAST = "ntf_~"
"""Behind every id."""


@dataclass(frozen=True)
class Item:
    """A notification as it lies in the inbox."""

    notification_id: str
    type: str
    subject_id: str
    facts: dict[str, Any]
    create_time: datetime
    read_time: datetime | None


class InboxRepository:
    """The inbox in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, user_id: str, size: int, after: str, *, unread_only: bool) -> list[Item]:
        """At most `size` items older than the id `after`, newest first."""
        query = _LIST_UNREAD if unread_only else _LIST
        return [Item(*row) for row in await self._database.all(query, user_id=user_id, size=size, after=after)]

    async def count_unread(self, user_id: str) -> int:
        """How many items were not read."""
        return int((await self._database.one(_COUNT, user_id=user_id)).unread)

    async def mark_read(self, user_id: str, notification_ids: Sequence[str], now: datetime) -> None:
        """Mark the user's own among the ids; what is read stays read since then."""
        await self._database.run(_MARK, user_id=user_id, ids=list(notification_ids), now=now)
