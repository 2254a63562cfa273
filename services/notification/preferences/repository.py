"""Every query on preferences."""

from collections.abc import Iterable, Mapping
from datetime import datetime, time, timedelta

from sqlalchemy import ARRAY, Text, any_, bindparam, select, update

from chassis.storage.database import Database, Query, Row, Transaction
from services.notification.categories import Category
from services.notification.channels.channel import Channel
from services.notification.ownership import of_person
from services.notification.preferences.domain import Preferences, QuietHours
from services.notification.preferences.tables import preferences

_p = preferences.c
# any owner: by their users' ids, which the handler and the worker know to be the caller's or the recipient's
_LIST_BY_IDS = Query(
    select(preferences).where(_p.user_id == any_(bindparam("user_ids", type_=ARRAY(Text)))), name="list preferences"
)
_LOCK = Query(select(preferences).where(of_person(preferences)).with_for_update(), name="lock preferences")
# A row for the lock; what is erased stays so.
_INSERT_IF_ABSENT = Query(
    "INSERT INTO preferences (user_id, version, updated_at) SELECT %(user_id)s, 0, %(now)s "
    "WHERE NOT EXISTS (SELECT FROM erased_persons WHERE user_id = %(user_id)s) ON CONFLICT (user_id) DO NOTHING",
    name="insert preferences if absent",
)
_UPDATED = ("muted", "digests", "quiet_start", "quiet_end", "quiet_zone", "version", "updated_at")
# any owner: the row that was locked
_UPDATE = Query(
    update(preferences).where(_p.user_id == bindparam("id")).values({name: bindparam(name) for name in _UPDATED}),
    name="update preferences",
)


class PreferenceRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, user_id: str) -> Preferences:
        """Those of one person."""
        return (await self.get_many([user_id])).get(user_id, Preferences(user_id))

    async def get_many(self, user_ids: Iterable[str]) -> Mapping[str, Preferences]:
        """Of those among the persons who have chosen something."""
        rows = await self._database.all(_LIST_BY_IDS, user_ids=sorted(user_ids))
        return {row.user_id: _read(row) for row in rows}

    async def lock(self, tx: Transaction, user_id: str, now: datetime) -> Preferences | None:
        """Those of one person, locked until the transaction ends; None of who is erased."""
        await tx.run(_INSERT_IF_ABSENT, user_id=user_id, now=now)
        row = await tx.first(_LOCK, user_id=user_id)
        return _read(row) if row else None

    async def update(self, tx: Transaction, changed: Preferences) -> None:
        """Store locked preferences."""
        quiet = changed.quiet_hours
        await tx.run(
            _UPDATE,
            id=changed.user_id,
            muted=sorted(f"{category.value}/{channel.value}" for category, channel in changed.muted),
            digests=sorted(
                f"{category.value}/{channel.value}/{int(window.total_seconds())}"
                for (category, channel), window in changed.digests.items()
            ),
            quiet_start=f"{quiet.start:%H:%M}" if quiet else "",
            quiet_end=f"{quiet.end:%H:%M}" if quiet else "",
            quiet_zone=quiet.time_zone if quiet else "",
            version=changed.version,
            updated_at=changed.updated_at,
        )


def _read(row: Row) -> Preferences:
    quiet = None
    if row.quiet_start:
        quiet = QuietHours(time.fromisoformat(row.quiet_start), time.fromisoformat(row.quiet_end), row.quiet_zone)
    return Preferences(
        row.user_id,
        frozenset(_muted(text) for text in row.muted),
        quiet,
        dict(_digest(text) for text in row.digests),
        row.version,
        row.updated_at if row.version else None,
    )


def _digest(text: str) -> tuple[tuple[Category, Channel], timedelta]:
    pair, _, seconds = text.rpartition("/")
    return _muted(pair), timedelta(seconds=int(seconds))


def _muted(text: str) -> tuple[Category, Channel]:
    category, channel = text.split("/")
    return Category(category), Channel(channel)
