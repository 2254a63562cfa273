"""Every query that reads or deletes what belongs to a person."""

from collections.abc import Sequence
from datetime import datetime

from chassis.queues.dead_letters import DeadLetters
from chassis.storage.database import Database, Query, Row
from services.notification.metadata import metadata

MAX_ROWS = 500
"""Notifications in one statement, each with its deliveries and their attempts."""

# any owner: internal, of a person who is exported
_LIST = Query(
    "SELECT n.notification_id, n.type, n.subject_id, n.data, n.create_time, n.read_time, COALESCE((SELECT jsonb_agg("
    "jsonb_build_object('channel', d.channel, 'state', d.state, 'updateTime', d.update_time)) FROM deliveries d "
    "WHERE d.notification_id = n.notification_id), '[]'::jsonb) AS deliveries FROM notifications n "
    "WHERE n.user_id = %(user_id)s AND n.notification_id > %(after)s ORDER BY n.notification_id LIMIT %(limit)s",
    name="list notifications of person",
)
# any owner: internal, of a person who is exported
_DEVICES = Query(
    "SELECT device_id, created_at, updated_at FROM devices WHERE user_id = %(user_id)s AND device_id > %(after)s "
    "ORDER BY device_id LIMIT %(limit)s",
    name="list devices of person",
)
_MARK = Query(
    "INSERT INTO erased_persons (user_id, erased_at) VALUES (%(user_id)s, %(now)s) ON CONFLICT (user_id) DO NOTHING",
    name="mark erased person",
)
# any owner: of a person who is erased
_DELETE = Query(
    "DELETE FROM notifications WHERE notification_id = ANY(ARRAY(SELECT notification_id FROM notifications "
    "WHERE user_id = %(user_id)s ORDER BY notification_id LIMIT %(limit)s))",
    name="delete notifications of person",
)
# Partners keep their log, and which of their customers was erased; but an order's events lead to its customer.
# any owner: of a person who is erased
_LOG = Query(
    "UPDATE partner_events SET user_id = '' WHERE user_id = %(user_id)s AND user_id <> subject_id",
    name="erase person of partner events",
)


class PersonRepository:
    """What is held of persons. Tables whose rows belong to a user alone are deleted from without being named here."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._dead_letters = DeadLetters(database, metadata.sorted_tables)
        self._others = [
            # any owner: of a person who is erased; names of our own tables
            Query(f"DELETE FROM {table.name} WHERE user_id = %(user_id)s", name=f"erase {table.name}")  # noqa: S608
            for table in metadata.sorted_tables
            if table.info.get("owner") == ("user_id",) and table.name != "notifications"
        ]

    async def list(self, user_id: str, after: str, limit: int) -> Sequence[Row]:
        """Notifications after one, the oldest first."""
        return await self._database.all(_LIST, user_id=user_id, after=after, limit=limit)

    async def devices(self, user_id: str, after: str, limit: int) -> Sequence[Row]:
        """Devices after one, the oldest first."""
        return await self._database.all(_DEVICES, user_id=user_id, after=after, limit=limit)

    async def erase(self, user_id: str, now: datetime) -> bool:
        """Delete up to `MAX_ROWS` notifications, and the rest; returns whether nothing is left.

        The mark comes first: what is stored afterwards for the person is not stored.
        """
        await self._database.run(_MARK, user_id=user_id, now=now)
        for statement in self._others:
            await self._database.run(statement, user_id=user_id)
        await self._database.run(_LOG, user_id=user_id)
        await self._dead_letters.delete(user_id)
        return await self._database.run(_DELETE, user_id=user_id, limit=MAX_ROWS) < MAX_ROWS
