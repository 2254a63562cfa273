"""Retention: every table says in its `info` for how long its rows are kept, or why they are never deleted.

    Table("sessions", metadata, …, info=delete(Expiry("expires_at"), Expiry("ended_at", timedelta(days=7))))
    Table("orders", metadata, …, info=keep("business records"))

A sweep deletes in small statements for as long as there is something to delete, so it keeps up with whatever is written.
Rows that someone else has locked are skipped: replicas share the work, and no caller waits for it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any

from prometheus_client import Counter
from sqlalchemy import MetaData, Table

from chassis import ids
from chassis.clock import Clock
from chassis.faults import catalogue, switches
from chassis.storage.database import Database, Query
from chassis.telemetry.logs import logger

log = logger("retention")
INTERVAL_S = 60.0
BATCH_ROWS = 1000
PAUSE_S = 0.05
"""Between two batches: the statements of calls have priority."""
BUDGET_S = 10.0
"""For one rule in one sweep, so that a table with a backlog does not delay the others."""

DELETED = Counter("weft_retention_deleted_rows", "Rows that were deleted because they had expired.", ["table"])
BEHIND = Counter("weft_retention_behind", "Sweeps that ended with expired rows left.", ["table"])

_KEY = "retention"


@dataclass(frozen=True)
class Expiry:
    """Rows end `age` after the time in `column`, which an index leads with. `where` narrows the rule to some rows.

    With `id_prefix` the column is an id of `ids.new`, which begins with the time of its row.
    """

    column: str
    age: timedelta = timedelta(0)
    where: str = ""
    id_prefix: str = ""

    def __str__(self) -> str:
        when = "the time in its id" if self.id_prefix else f"`{self.column}`"
        condition = f" where `{self.where}`" if self.where else ""
        return (f"{_span(self.age)} after {when}" if self.age else f"at {when}") + condition


@dataclass(frozen=True)
class ExpiredBy:
    """A function of the database deletes up to a number of rows that are `age` old, with the rights of the owner.

    For a table that the role that serves may not delete from; the function keeps to the age by itself.
    """

    function: str
    age: timedelta
    column: str

    def __str__(self) -> str:
        return f"{_span(self.age)} after `{self.column}`, by the function `{self.function}`"


@dataclass(frozen=True)
class Kept:
    """The sweep does not touch the table, for a reason."""

    reason: str

    def __str__(self) -> str:
        return self.reason


def delete(*rules: Expiry) -> dict[str, Any]:
    """The `info` of a table whose rows end; each rule has an index."""
    return {_KEY: rules}


def delete_by(function: str, age: timedelta, column: str) -> dict[str, Any]:
    """The `info` of a table whose rows a function of the database deletes; see `ExpiredBy`."""
    return {_KEY: (ExpiredBy(function, age, column),)}


def keep(reason: str) -> dict[str, Any]:
    """The `info` of a table whose rows stay, or end in another way: `reason` says so."""
    return {_KEY: Kept(reason)}


def of(table: Table) -> tuple[Expiry | ExpiredBy, ...] | Kept:
    """What a table says. Raises `ValueError` where it says nothing."""
    if _KEY not in table.info:
        raise ValueError(f"Say how long rows of {table.name} are kept: info=retention.delete(…) or retention.keep(…).")
    said: tuple[Expiry | ExpiredBy, ...] | Kept = table.info[_KEY]
    return said


def query(table: Table, rule: Expiry | ExpiredBy, limit: int = BATCH_ROWS) -> Query:
    """Deletes a batch; its parameter is `before`, which a function does not look at."""
    if isinstance(rule, ExpiredBy):
        return Query(f"SELECT {rule.function}({limit}) AS deleted", name=f"expire {table.name}")  # our own
    condition = f" AND {rule.where}" if rule.where else ""
    # Names of our own tables and columns only.
    return Query(
        f"DELETE FROM {table.name} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table.name} "  # noqa: S608
        f"WHERE {rule.column} < %(before)s{condition} ORDER BY {rule.column} LIMIT {limit} FOR UPDATE SKIP LOCKED))",
        name=f"expire {table.name}",
    )


class Sweep:
    """Deletes the expired rows of all tables of a service. Replicas may sweep concurrently."""

    def __init__(
        self, database: Database, metadata: MetaData, clock: Clock, *, batch: int = BATCH_ROWS, budget: float = BUDGET_S
    ) -> None:
        """`batch` rows in a statement, `budget` seconds for a rule. Raises `ValueError` where a table says nothing."""
        self._database = database
        self._clock = clock
        self._batch = batch
        self._budget = budget
        self._rules = [
            (table.name, rule, query(table, rule, batch))
            for table in metadata.sorted_tables
            for rule in _rules(of(table))
        ]

    async def run(self) -> Mapping[str, int]:
        """Sweep once; returns the number of deleted rows by table. A table that fails does not stop the others."""
        deleted: dict[str, int] = {}
        for table, rule, statement in self._rules:
            try:
                count = await self._delete(table, rule, statement)
            except Exception as error:
                log.warning("retention_failed", table=table, cause=repr(error))
                continue
            if count:
                deleted[table] = deleted.get(table, 0) + count
        if deleted:
            log.info("retention_deleted", **deleted)
        return deleted

    async def _delete(self, table: str, rule: Expiry | ExpiredBy, statement: Query) -> int:
        if switches.on(catalogue.RETENTION_STOPS):
            BEHIND.labels(table).inc()
            return 0
        end, total = monotonic() + self._budget, 0
        while True:
            count = await self._delete_batch(rule, statement)
            DELETED.labels(table).inc(count)
            total += count
            if count < self._batch:
                return total
            if monotonic() >= end:
                BEHIND.labels(table).inc()
                return total
            await asyncio.sleep(PAUSE_S)

    async def _delete_batch(self, rule: Expiry | ExpiredBy, statement: Query) -> int:
        if isinstance(rule, ExpiredBy):
            return int((await self._database.one(statement)).deleted)
        cutoff = self._clock.now() - rule.age
        before = ids.new(rule.id_prefix, cutoff) if rule.id_prefix else cutoff
        return await self._database.run(statement, before=before)


def _rules(said: tuple[Expiry | ExpiredBy, ...] | Kept) -> tuple[Expiry | ExpiredBy, ...]:
    return () if isinstance(said, Kept) else said


def _span(age: timedelta) -> str:
    if age.days and age == timedelta(days=age.days):
        return f"{age.days} day{'s' if age.days > 1 else ''}"
    return f"{age.total_seconds() / 3600:g} h"


def document(metadata: MetaData) -> list[tuple[str, str]]:
    """Each table and what it says, for the operators' documentation."""
    found = []
    for table in sorted(metadata.tables.values(), key=lambda table: table.name):
        said = of(table)
        found.append((table.name, str(said) if isinstance(said, Kept) else "; ".join(map(str, said))))
    return found
