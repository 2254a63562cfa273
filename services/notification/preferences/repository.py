"""Every query on preferences."""

from collections.abc import Iterable, Mapping
from datetime import datetime, time

from chassis.storage.database import Database, Query, Row, Transaction
from services.notification.categories import Category
from services.notification.channels.channel import Channel
from services.notification.preferences.domain import Preferences, QuietHours

_COLUMNS = "user_id, muted, quiet_start, quiet_end, quiet_zone, version, updated_at"
# any owner: by their users' ids, which the handler and the worker know to be the caller's or the recipient's
_GET = Query(f"SELECT {_COLUMNS} FROM preferences WHERE user_id = ANY(%(ids)s)", name="get preferences")  # noqa: S608
# any owner: as above
_LOCK = Query(f"SELECT {_COLUMNS} FROM preferences WHERE user_id = %(id)s FOR UPDATE", name="lock preferences")  # noqa: S608
# A row for the lock; what is erased stays so.
_INSERT_IF_ABSENT = Query(
    "INSERT INTO preferences (user_id, version, updated_at) SELECT %(id)s, 0, %(now)s "
    "WHERE NOT EXISTS (SELECT FROM erased_persons WHERE user_id = %(id)s) ON CONFLICT (user_id) DO NOTHING",
    name="insert preferences if absent",
)
# any owner: the row that was locked
_UPDATE = Query(
    "UPDATE preferences SET muted = %(muted)s, quiet_start = %(start)s, quiet_end = %(end)s, quiet_zone = %(zone)s, "
    "version = %(version)s, updated_at = %(now)s WHERE user_id = %(id)s",
    name="update preferences",
)


class PreferenceRepository:
    """Preferences in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, user_id: str) -> Preferences:
        """Those of one person."""
        return (await self.get_many([user_id])).get(user_id, Preferences(user_id))

    async def get_many(self, user_ids: Iterable[str]) -> Mapping[str, Preferences]:
        """Of those among the persons who have chosen something."""
        rows = await self._database.all(_GET, ids=sorted(user_ids))
        return {row.user_id: _read(row) for row in rows}

    async def lock(self, tx: Transaction, user_id: str, now: datetime) -> Preferences | None:
        """Those of one person, which nobody else changes meanwhile; None of who is erased."""
        await tx.run(_INSERT_IF_ABSENT, id=user_id, now=now)
        row = await tx.first(_LOCK, id=user_id)
        return _read(row) if row is not None else None

    async def update(self, tx: Transaction, changed: Preferences) -> None:
        """Store what `lock` returned, changed."""
        quiet = changed.quiet_hours
        await tx.run(
            _UPDATE,
            id=changed.user_id,
            muted=sorted(f"{category.value}/{channel.value}" for category, channel in changed.muted),
            start=f"{quiet.start:%H:%M}" if quiet else "",
            end=f"{quiet.end:%H:%M}" if quiet else "",
            zone=quiet.time_zone if quiet else "",
            version=changed.version,
            now=changed.updated_at,
        )


def _read(row: Row) -> Preferences:
    quiet = None
    if row.quiet_start:
        quiet = QuietHours(time.fromisoformat(row.quiet_start), time.fromisoformat(row.quiet_end), row.quiet_zone)
    return Preferences(
        row.user_id,
        frozenset(_muted(text) for text in row.muted),
        quiet,
        row.version,
        row.updated_at if row.version else None,
    )


def _muted(text: str) -> tuple[Category, Channel]:
    category, channel = text.split("/")
    return Category(category), Channel(channel)
