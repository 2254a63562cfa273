"""Every query on partners."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.storage.database import Database, Query, Row, Transaction, newest_first
from services.user.partners.domain import Partner
from services.user.partners.tables import partners

_p = partners.c
_by_id = select(partners).where(_p.partner_id == bindparam("partner_id"))
_GET = Query(_by_id, name="get partner")
_LIST = Query(newest_first(select(partners), _p.partner_id), name="list partners")
_LOCK = Query(_by_id.with_for_update(), name="lock partner")
_INSERT = Query(
    insert(partners).values({column.name: bindparam(column.name) for column in partners.columns}), name="insert partner"
)
_UPDATED = ("display_name", "plan", "scopes", "state", "revision", "updated_at")
_UPDATE = Query(
    update(partners).where(_p.partner_id == bindparam("id")).values({name: bindparam(name) for name in _UPDATED}),
    name="update partner",
)


class PartnerRepository:
    """Partners in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, partner_id: str) -> Partner | None:
        row = await self._database.first(_GET, partner_id=partner_id)
        return _read(row) if row else None

    async def list(self, limit: int, after: str) -> Sequence[Partner]:
        """Up to `limit` partners older than `after`, newest first."""
        return [_read(row) for row in await self._database.all(_LIST, limit=limit, after=after)]

    async def lock(self, tx: Transaction, partner_id: str) -> Partner | None:
        """A partner, locked until the transaction ends."""
        row = await tx.first(_LOCK, partner_id=partner_id)
        return _read(row) if row else None

    async def insert(self, tx: Transaction, partner: Partner) -> None:
        await tx.run(_INSERT, **_values(partner))

    async def update(self, tx: Transaction, partner: Partner) -> None:
        """Store a locked partner."""
        await tx.run(_UPDATE, id=partner.partner_id, **_values(partner))


def _read(row: Row) -> Partner:
    return Partner(**{**row._asdict(), "scopes": tuple(row.scopes)})


def _values(partner: Partner) -> dict[str, Any]:
    values = {column.name: getattr(partner, column.name) for column in partners.columns}
    return {**values, "scopes": list(partner.scopes)}
