"""Every query on charges."""

import json
from datetime import datetime

from chassis.storage.database import Database, Query, Transaction
from services.order.domain.charges import Charge, ChargeTable

# The rows themselves only where they are not known yet: a quote asks each time.
_GET = Query(
    "SELECT version, CASE WHEN (version, created_at) IS DISTINCT FROM (%(version)s, %(at)s::timestamptz) THEN charges END AS charges, created_at "
    "FROM charge_tables ORDER BY version DESC LIMIT 1",
    name="get charges",
)
_INSERT = Query(
    "INSERT INTO charge_tables (version, charges, actor, created_at) "
    "VALUES (%(version)s, %(charges)s::jsonb, %(actor)s, %(now)s)",
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
        """Raises `UniqueViolation` if another call has added the version."""
        await tx.run(_INSERT, version=table.version, charges=json.dumps(table.charges), actor=actor, now=now)
