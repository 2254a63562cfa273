"""Every query on failed attempts that were counted while the cache was away."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ARRAY, Text, any_, bindparam, case, delete, null, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.storage.database import Database, Query
from services.user.throttling.tables import failed_attempts

_a = failed_attempts.c
_GET = Query(
    select(_a.key, _a.waits_until).where(
        _a.key == any_(bindparam("keys", type_=ARRAY(Text))), _a.expires_at > bindparam("now")
    ),
    name="get failed attempts",
)
_insert = insert(failed_attempts).values(key=bindparam("key"), failures=1, expires_at=bindparam("expires_at"))
_expired = _a.expires_at <= bindparam("now")
_INCREMENT = Query(
    _insert.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "failures": case((_expired, 1), else_=_a.failures + 1),
            "waits_until": case((_expired, null()), else_=_a.waits_until),
            "expires_at": case((_expired, _insert.excluded.expires_at), else_=_a.expires_at),
        },
    ).returning(_a.failures),
    name="count failed attempt",
)
_WAIT = Query(
    update(failed_attempts).where(_a.key == bindparam("counted")).values(waits_until=bindparam("until")),
    name="delay attempts",
)
_DELETE = Query(delete(failed_attempts).where(_a.key == bindparam("counted")), name="forget failed attempts")


class AttemptRepository:
    """Failed attempts by key."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, keys: Sequence[str], now: datetime) -> dict[str, datetime | None]:
        """Those of the keys that have failures, and until when they have to wait, if at all."""
        return {row.key: row.waits_until for row in await self._database.all(_GET, keys=list(keys), now=now)}

    async def increment(self, key: str, now: datetime, expires_at: datetime) -> int:
        """Count a failure; the first one of a key sets when all of them expire."""
        return int((await self._database.one(_INCREMENT, key=key, now=now, expires_at=expires_at)).failures)

    async def wait(self, key: str, until: datetime) -> None:
        """Set until when a key has to wait."""
        await self._database.run(_WAIT, counted=key, until=until)

    async def delete(self, key: str) -> None:
        """Forget a key."""
        await self._database.run(_DELETE, counted=key)
