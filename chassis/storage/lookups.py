"""Batched reads: rows that are requested while a statement is in flight are read by the next one, in one statement.

Read your writes: a request never joins a statement that has already started.
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
"""In one statement."""


class Lookup:
    """Batched reads of one kind of row by a key of one or more strings."""

    def __init__(self, database: Database, query: Query, parts: Sequence[str]) -> None:
        """`query` takes an array for each of the key's `parts`, by name; its column `n` is the position of the row's key, from 1."""
        self._database = database
        self._query = query
        self._parts = parts
        # A string that cannot be stored is refused before it is sent, and fails its own key only.
        self._batches: BatchQueue[Key, Row | None] = BatchQueue(self._read, (psycopg.DataError,), MAX_KEYS)

    async def find(self, *key: str) -> Row | None:
        """The row of a key, or None where there is none."""
        with self._database.tracer.span(self._query.name, kind=SpanKind.CLIENT, attributes=SPAN_ATTRIBUTES):
            return await self._batches.put(key)

    async def find_all(self, keys: Sequence[Key]) -> list[Row | None]:
        """The rows of several keys, in the order of the keys."""
        with self._database.tracer.span(self._query.name, kind=SpanKind.CLIENT, attributes=SPAN_ATTRIBUTES):
            if len(keys) == 1:  # the usual case needs no task
                return [await self._batches.put(keys[0])]
            return await asyncio.gather(*(self._batches.put(key) for key in keys))

    async def _read(self, keys: Sequence[Key]) -> list[Row | None]:
        columns = zip(self._parts, zip(*keys, strict=True), strict=True)
        found: list[Row | None] = [None] * len(keys)
        for row in await self._database.all(self._query, **{name: pg_arrays.texts(column) for name, column in columns}):
            found[row.n - 1] = row
        return found
