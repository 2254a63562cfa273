"""Every query that reads or deletes what belongs to a person."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.queues.dead_letters import DeadLetters
from chassis.storage.database import Database, Query, Row, constant, oldest_first
from services.notification.event_log.tables import partner_events
from services.notification.metadata import metadata
from services.notification.ownership import of_person
from services.notification.persons.tables import erased_persons

MAX_ROWS = 500
"""Notifications in one statement, each with its deliveries and their attempts."""

_e = partner_events.c
# any owner: internal, of a person who is exported
_LIST = Query(
    "SELECT n.notification_id, n.type, n.subject_id, n.data, n.create_time, n.read_time, COALESCE((SELECT jsonb_agg("
    "jsonb_build_object('channel', d.channel, 'state', d.state, 'updateTime', d.update_time)) FROM deliveries d "
    "WHERE d.notification_id = n.notification_id), '[]'::jsonb) AS deliveries FROM notifications n "
    "WHERE n.user_id = %(user_id)s AND n.notification_id > %(after)s ORDER BY n.notification_id LIMIT %(limit)s",
    name="list notifications of person",
)


@cache
def _list_devices() -> Query:
    devices = metadata.tables["devices"]  # whose module imports persons
    found = select(devices.c.device_id, devices.c.created_at, devices.c.updated_at).where(of_person(devices))
    return Query(oldest_first(found, devices.c.device_id), name="list devices of person")


_MARK = Query(
    insert(erased_persons)
    .values(user_id=bindparam("user_id"), erased_at=bindparam("now"))
    .on_conflict_do_nothing(index_elements=["user_id"]),
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
_ERASE_EVENTS = Query(
    update(partner_events)
    .where(_e.user_id == bindparam("of_user"), _e.user_id != _e.subject_id)
    .values(user_id=constant("")),
    name="erase person of partner events",
)


class PersonRepository:
    """What is held of persons. Tables whose rows belong to a user alone are deleted from without being named here."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._dead_letters = DeadLetters(database, metadata.sorted_tables)
        self._others = [
            # any owner: of a person who is erased
            Query(delete(table).where(table.c.user_id == bindparam("user_id")), name=f"erase {table.name}")
            for table in metadata.sorted_tables
            if table.info.get("owner") == ("user_id",) and table.name != "notifications"
        ]

    async def list(self, user_id: str, limit: int, after: str) -> Sequence[Row]:
        """Up to `limit` notifications after one, oldest first."""
        return await self._database.all(_LIST, user_id=user_id, after=after, limit=limit)

    async def list_devices(self, user_id: str, limit: int, after: str) -> Sequence[Row]:
        """Up to `limit` devices after one, oldest first."""
        return await self._database.all(_list_devices(), user_id=user_id, after=after, limit=limit)

    async def erase(self, user_id: str, now: datetime) -> bool:
        """Delete up to `MAX_ROWS` notifications, and the rest; returns whether nothing is left.

        The mark comes first: what is stored afterwards for the person is not stored.
        """
        await self._database.run(_MARK, user_id=user_id, now=now)
        for statement in self._others:
            await self._database.run(statement, user_id=user_id)
        await self._database.run(_ERASE_EVENTS, of_user=user_id)
        await self._dead_letters.delete(user_id)
        return await self._database.run(_DELETE, user_id=user_id, limit=MAX_ROWS) < MAX_ROWS
