"""Every query on charges."""

import json
from datetime import datetime

import psycopg
from sqlalchemy import bindparam, case, insert, select

from chassis.errors import EtagMismatch
from chassis.storage.database import Database, Query, Transaction
from services.order.charges.tables import charge_tables
from services.order.domain.charges import Charge, ChargeTable

_t = charge_tables.c
# The rows themselves only where they are not known yet: a quote asks each time.
_is_new = _t.version.is_distinct_from(bindparam("version")) | _t.created_at.is_distinct_from(bindparam("at"))
_GET = Query(
    select(_t.version, case((_is_new, _t.charges)).label("charges"), _t.created_at)
    .order_by(_t.version.desc())
    .limit(1),
    name="get charges",
)
_INSERT = Query(
    insert(charge_tables).values({column.name: bindparam(column.name) for column in charge_tables.columns}),
    name="insert charges",
)


class ChargeRepository:
    """Reads the newest version and adds versions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, known: ChargeTable, tx: Transaction | None = None) -> ChargeTable:
        """The newest version, which may be the one that is known; before the first one, an empty table of version 0."""
        row = await (tx or self._database).first(_GET, version=known.version, at=known.updated_at)
        if row is None:
            return ChargeTable(0, ())
        if row.charges is None:
            return known
        return ChargeTable(row.version, [Charge(*charge) for charge in row.charges], row.created_at)

    async def insert(self, tx: Transaction, table: ChargeTable, actor: str, now: datetime) -> None:
        """Raises `EtagMismatch` if another call has added the version."""
        charges = json.dumps(table.charges)
        try:
            await tx.run(_INSERT, version=table.version, charges=charges, actor=actor, created_at=now)
        except psycopg.errors.UniqueViolation as error:
            raise EtagMismatch(etag=table.etag) from error
