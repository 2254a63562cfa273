"""`python -m services.user reencrypt [--count]`: encrypts with the current data key what another one has encrypted.

It runs beside the service and may be killed and repeated at any time: what is done is seen from the values themselves. It
goes through each table by key, in short statements. A value is replaced only while it is the one that was read, and rows
that someone else has locked are left to the next pass: no change is lost, and the command waits for nobody.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from sqlalchemy import MetaData, Table
from sqlalchemy.dialects import postgresql

from chassis.security import sealed
from chassis.security.encryption import Vault
from chassis.security.sealed import Sealed
from chassis.storage.database import Database, Query, Row

BATCH_ROWS = 500
PAUSE_S = 0.01
"""Between two batches: the statements of calls have priority."""
PROGRESS_INTERVAL_S = 2.0
MAX_PASSES = 5
"""Over a table, for what was locked or written with another key meanwhile."""
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


class ValuesUnreadable(Exception):
    """Some values cannot be decrypted; the message says how many, and which key they need."""


@dataclass
class Found:
    """What one pass over a table has found until now. `by_key` counts values, after the changes of the pass."""

    rows: int = 0
    changed: int = 0
    missed: int = 0
    unreadable: int = 0
    by_key: Counter[str] = field(default_factory=Counter)


class TablePass:
    """Goes through the encrypted columns of one table."""

    def __init__(self, database: Database, vault: Vault, table: Table, columns: Mapping[str, Sealed]) -> None:
        self._database = database
        self._vault = vault
        self._columns = columns
        keys = {column.name: str(column.type.compile(_DIALECT)) for column in table.primary_key.columns}
        self._keys = [*keys]
        named = ", ".join(keys)
        # any owner: an operator's command; names of our own tables and columns
        select = f"SELECT {named}, {', '.join(columns)} FROM {table.name}"  # noqa: S608
        after = ", ".join(f"%({name})s::{kind}" for name, kind in keys.items())
        order = f"ORDER BY {named} LIMIT {BATCH_ROWS}"
        self._first = Query(f"{select} {order}", name=f"read {table.name}")
        self._next = Query(f"{select} WHERE ({named}) > ({after}) {order}", name=f"read {table.name}")
        self._replace = {column: _replace(table.name, column, keys) for column in columns}

    async def run(self, change: bool) -> AsyncIterator[Found]:
        """Go through the table once; yields the same object after each batch."""
        found = Found()
        last: Row | None = None
        while True:
            if last is None:
                rows = await self._database.all(self._first)
            else:
                rows = await self._database.all(self._next, **{name: getattr(last, name) for name in self._keys})
            for column, declared in self._columns.items():
                old = self._take(rows, column, declared, found)
                if old and change and not declared.expires:
                    await self._change(old, column, declared.context, found)
            found.rows += len(rows)
            yield found
            if len(rows) < BATCH_ROWS:
                return
            last = rows[-1]
            await asyncio.sleep(PAUSE_S)

    def _take(self, rows: Sequence[Row], column: str, declared: Sealed, found: Found) -> list[tuple[str, Row]]:
        """Count the values of a column; returns the rows that another key than the current one has encrypted, and the key."""
        old = []
        for row in rows:
            if (value := getattr(row, column)) is None:
                continue
            key = self._vault.key_of(value)
            if key:
                found.by_key[key] += 1
                if key != self._vault.current and self._vault.has(key):
                    old.append((key, row))
            else:
                found.unreadable += not declared.mixed
        return old

    async def _change(self, old: list[tuple[str, Row]], column: str, context: str, found: Found) -> None:
        replaced: list[tuple[Any, ...]] = []
        for key, row in old:
            value = getattr(row, column)
            try:
                new = self._vault.seal(self._vault.open(value, context), context)
            except ValueError:
                found.unreadable += 1
            else:
                replaced.append((key, *(getattr(row, name) for name in self._keys), value, new))
        if not replaced:
            return
        keys, *lists = map(list, zip(*replaced, strict=True))
        done = await self._database.all(
            self._replace[column], **dict(zip([*self._keys, "old", "new"], lists, strict=True))
        )
        for row in done:
            found.by_key[keys[row.position - 1]] -= 1
        found.by_key[self._vault.current] += len(done)
        found.changed += len(done)
        found.missed += len(replaced) - len(done)


def _replace(table: str, column: str, keys: Mapping[str, str]) -> Query:
    """Replaces values that are still the ones that were read, in rows that nobody has locked; returns their positions."""
    lists = ", ".join(
        [*(f"%({name})s::{kind}[]" for name, kind in keys.items()), "%(old)s::bytea[]", "%(new)s::bytea[]"]
    )
    names = [*(f"key_{name}" for name in keys), "old", "new", "position"]
    named, of_v = ", ".join(names), ", ".join(f"v.{name}" for name in names)
    same = " AND ".join([*(f"t.{name} = v.key_{name}" for name in keys), f"t.{column} = v.old"])
    return Query(
        f"WITH v AS (SELECT {named} FROM unnest({lists}) WITH ORDINALITY AS v({named})), "  # noqa: S608
        f"held AS MATERIALIZED (SELECT {of_v} FROM {table} t JOIN v ON {same} FOR NO KEY UPDATE OF t SKIP LOCKED) "
        f"UPDATE {table} t SET {column} = v.new FROM held v WHERE {same} RETURNING v.position",
        name=f"reencrypt {table}",
    )


async def reencrypt(database: Database, vault: Vault, metadata: MetaData, change: bool = True) -> AsyncIterator[str]:
    """Go through all tables; without `change` only count. Yields progress, and in the end which keys may be removed.

    Raises `ValuesUnreadable` in the end where values cannot be decrypted; all others have been dealt with.
    """
    left: dict[str, list[str]] = {}
    unreadable = []
    for table, columns in sealed.tables(metadata):
        found, told = Found(), monotonic()
        for _ in range(MAX_PASSES):
            async for found in TablePass(database, vault, table, columns).run(change):
                if monotonic() - told > PROGRESS_INTERVAL_S:
                    told = monotonic()
                    yield f"{table.name}: {found.rows} rows read, {found.changed} values encrypted again …"
            if found.changed:
                yield f"{table.name}: {found.changed} of {found.by_key.total()} values encrypted again with {vault.current}"
            if not change or not (found.changed or found.missed):
                break  # a whole pass that had nothing to do: nothing was written with another key behind an earlier one
        for key, count in found.by_key.items():
            if count and key != vault.current:
                left.setdefault(key, []).append(f"{count} in {table.name}")
        if found.unreadable:
            unreadable.append(f"{found.unreadable} in {table.name} are damaged")
    for line in _verdict(vault, left):
        yield line
    unreadable += [f"{', '.join(places)} need the key {key!r}" for key, places in left.items() if not vault.has(key)]
    if unreadable:
        raise ValuesUnreadable(f"WEFT_DATA_KEYS cannot decrypt every value: {'; '.join(unreadable)}.")


def _verdict(vault: Vault, left: Mapping[str, list[str]]) -> list[str]:
    if not left and len(vault.names) == 1:
        return [f"{vault.current} is the only key."]
    lines = [f"{vault.current} encrypts what is written."]
    for key in vault.names:
        if key == vault.current:
            continue
        if key in left:
            lines.append(
                f"{key} is needed: {', '.join(left[key])}. Run `reencrypt` (again); some expire by themselves."
            )
        elif key == vault.root:
            lines.append(
                f"{key} encrypts nothing. It stays in WEFT_DATA_KEYS, as the first: look-ups are derived from it."
            )
        else:
            lines.append(f"{key} encrypts nothing: once no process encrypts with it, remove it from WEFT_DATA_KEYS.")
    return lines
