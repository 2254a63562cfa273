"""Rows by key: those that are asked for while a look is under way are found together by the next one, in one statement.

What was written before a row is asked for is seen: a look that is under way takes nobody along.
"""

import asyncio
from collections.abc import Sequence

import psycopg
from opentelemetry.trace import SpanKind

from chassis.storage import pg_arrays
from chassis.storage.batching import BatchQueue
from chassis.storage.database import SPAN_ATTRIBUTES, Database, Query, Row

Key = tuple[str, ...]
MAX_KEYS = 1000
"""Keys of one statement."""


class Lookup:
    """One kind of row, found by a key of one or more texts."""

    def __init__(self, database: Database, query: Query, parts: Sequence[str]) -> None:
        """`query` takes an array of each of the key's `parts`, by name, and tells in `n` to which key a row belongs, from 1."""
        self._database = database
        self._query = query
        self._parts = parts
        # A text that cannot be stored is refused before it is sent, and is its own key's fault.
        self._batches: BatchQueue[Key, Row | None] = BatchQueue(self._look, (psycopg.DataError,), MAX_KEYS)

    async def find(self, *key: str) -> Row | None:
        """The row of a key, or None."""
        with self._database.tracer.span(self._query.name, kind=SpanKind.CLIENT, attributes=SPAN_ATTRIBUTES):
            return await self._batches.put(key)

    async def find_all(self, keys: Sequence[Key]) -> list[Row | None]:
        """The same for several keys, in their order."""
        with self._database.tracer.span(self._query.name, kind=SpanKind.CLIENT, attributes=SPAN_ATTRIBUTES):
            if len(keys) == 1:  # most often: spares a task
                return [await self._batches.put(keys[0])]
            return await asyncio.gather(*(self._batches.put(key) for key in keys))

    async def _look(self, keys: Sequence[Key]) -> list[Row | None]:
        columns = zip(self._parts, zip(*keys, strict=True), strict=True)
        found: list[Row | None] = [None] * len(keys)
        for row in await self._database.all(self._query, **{name: pg_arrays.texts(column) for name, column in columns}):
            found[row.n - 1] = row
        return found
