"""SQLAlchemy Core describes and compiles, psycopg executes.

A `Query` is compiled when its module loads; running it costs what psycopg costs, with a prepared statement on a pooled
connection. A single statement runs in autocommit, so it is one round trip and its own transaction.

Waiting is bounded everywhere (docs/decisions/0065): for a lock, for a statement, for a silent server, for a connection.
Writers, which can wait for locks, never take all connections: some are kept for those who only read.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple, cast

import psycopg
from opentelemetry import trace
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import namedtuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from sqlalchemy import ClauseElement, ColumnElement, Select, bindparam, literal_column
from sqlalchemy.dialects import postgresql

from chassis import errors
from chassis.faults import catalogue, switches
from chassis.storage.connections import Connection, WriterSlots, configure, plan_is_stale
from chassis.telemetry import tracing
from chassis.telemetry.tracing import Tracer

FAULT_SLOW_S = 1.2
Row = Any
"""A named tuple: columns are attributes."""

_DIALECT = postgresql.psycopg.dialect()  # type: ignore[no-untyped-call]
_WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE|NOTIFY|LOCK)\b")
"""In the SQL of a statement that may wait for a lock: what only reads has none of these words."""


class Query:
    """A statement, compiled once. From SQLAlchemy Core, or from SQL with `%(name)s` parameters."""

    __slots__ = ("defaults", "name", "sql", "writes")

    def __init__(self, statement: ClauseElement | str, *, name: str = "") -> None:
        """`name` is what spans call it; otherwise the first word of the SQL."""
        self.defaults: dict[str, Any] = {}
        if isinstance(statement, str):
            self.sql = statement
        else:
            compiled = statement.compile(dialect=_DIALECT)
            self.sql = str(compiled)
            self.defaults = {key: value for key, value in compiled.params.items() if value is not None}
        self.name = name or self.sql.split(None, 1)[0].upper()
        self.writes = _WRITES.search(self.sql) is not None


class Session:
    """A connection in use: each statement is its own transaction (autocommit)."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self, query: Query, **values: Any) -> list[Row]:
        """Fetch all rows."""
        return await (await self._execute(query, values)).fetchall()

    async def first(self, query: Query, **values: Any) -> Row | None:
        """Fetch the first row, or None."""
        return await (await self._execute(query, values)).fetchone()

    async def one(self, query: Query, **values: Any) -> Row:
        """Fetch the first row. Raises `LookupError` where there is none."""
        row = await self.first(query, **values)
        if row is None:
            raise LookupError(f"{query.name} found nothing")
        return row

    async def run(self, query: Query, **values: Any) -> int:
        """Execute; returns the number of affected rows."""
        return (await self._execute(query, values)).rowcount

    async def _execute(self, query: Query, values: Mapping[str, Any]) -> psycopg.AsyncCursor[Row]:
        parameters = {**query.defaults, **values} if query.defaults else values
        try:
            # Strings of our own making only: user input is bound, never pasted.
            return await self._connection.execute(cast("Any", query.sql), parameters or None)
        except psycopg.errors.FeatureNotSupported as error:
            if not plan_is_stale(error):
                raise
            if self._connection.info.transaction_status is not TransactionStatus.IDLE:
                # What was done is undone; the rollback also drops the plans, so the next attempt succeeds.
                raise errors.ServiceUnavailable(retry_after=timedelta()) from error
            await self._connection.execute("DEALLOCATE ALL", prepare=False)
            return await self._connection.execute(cast("Any", query.sql), parameters or None)


class Transaction(Session):
    """Statements that are committed together, or not at all."""

    __slots__ = ("_after_commit", "_later")

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._after_commit: dict[Callable[[], None], None] = {}
        self._later: list[tuple[Query, Mapping[str, Any]]] = []

    def run_later(self, query: Query, **values: Any) -> None:
        """Execute before the next statement, in one round trip with it, or else before the commit; there its errors are raised."""
        self._later.append((query, values))

    async def flush(self) -> None:
        """Execute what has been left for later."""
        if self._later:
            await self._execute(*self._later.pop())

    async def _execute(self, query: Query, values: Mapping[str, Any]) -> psycopg.AsyncCursor[Row]:
        if not self._later:
            return await super()._execute(query, values)
        first, self._later = self._later, []
        try:
            async with self._connection.pipeline():
                for each in first:
                    await super()._execute(*each)
                return await super()._execute(query, values)
        except psycopg.errors.FeatureNotSupported as error:
            raise (errors.ServiceUnavailable(retry_after=timedelta()) if plan_is_stale(error) else error) from error

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` once after the commit, however often it is registered; never after a rollback."""
        self._after_commit[callback] = None

    def committed(self) -> None:
        """Run the callbacks. `Database.transaction` calls this once the connection is back in the pool."""
        for callback in self._after_commit:
            callback()


class Database:
    """One service's database. `open` before use."""

    def __init__(self, url: str, pool_size: int, tracer: Tracer, name: str = "weft") -> None:
        """`url` names server, role and database."""
        self.tracer = tracer
        self._writer_slots = WriterSlots(max(1, pool_size - max(1, pool_size // 4)), pool_size * 32)
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            make_conninfo(url, application_name=name),
            connection_class=Connection,
            kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": namedtuple_row},
            configure=configure,
            min_size=1,
            max_idle=15,  # seconds; one a time ends, which frees the 15 MB of a back end
            max_size=pool_size,
            timeout=5,
            max_waiting=pool_size * 32,
            open=False,
        )
        self.url = url

    async def open(self) -> None:
        """Connect. Raises `Unavailable` when the server cannot be reached in time."""
        await self._pool.open()

    async def close(self) -> None:
        """Wait for what runs, and disconnect."""
        await self._pool.close()

    async def all(self, query: Query, **values: Any) -> list[Row]:
        """Fetch all rows of one statement, in a transaction of its own."""
        async with self._session(query) as session:
            return await session.all(query, **values)

    async def first(self, query: Query, **values: Any) -> Row | None:
        """Fetch the first row of one statement, in a transaction of its own, or None."""
        async with self._session(query) as session:
            return await session.first(query, **values)

    async def one(self, query: Query, **values: Any) -> Row:
        """Fetch the first row of one statement, in a transaction of its own. Raises `LookupError` where there is none."""
        async with self._session(query) as session:
            return await session.one(query, **values)

    async def run(self, query: Query, **values: Any) -> int:
        """Execute one statement in a transaction of its own; returns the number of affected rows."""
        async with self._session(query) as session:
            return await session.run(query, **values)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Statements that are committed together, or not at all; then the callbacks of `Transaction.after_commit`."""
        with self.tracer.span("transaction", kind=trace.SpanKind.CLIENT, attributes=SPAN_ATTRIBUTES):
            async with self._writer_slots, self._connection() as connection, connection.transaction():
                tx = Transaction(connection)
                yield tx
                await tx.flush()
        tx.committed()

    @asynccontextmanager
    async def _session(self, query: Query) -> AsyncIterator[Session]:
        connected = self._writing if query.writes else self._connection
        if not trace.get_current_span().is_recording():
            async with connected() as connection:
                yield Session(connection)
            return
        with self.tracer.span(query.name, kind=trace.SpanKind.CLIENT, attributes=SPAN_ATTRIBUTES):
            async with connected() as connection:
                yield Session(connection)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Connection]:
        async with self._writer_slots, self._connection() as connection:
            yield connection

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        try:
            if switches.on(catalogue.NO_DATABASE):
                raise psycopg.OperationalError(catalogue.NO_DATABASE)
            async with self._pool.connection() as connection:
                if switches.on(catalogue.SLOW_DATABASE):
                    await asyncio.sleep(FAULT_SLOW_S)
                yield connection
        except PoolTimeout as error:
            raise errors.ServiceUnavailable() from error
        except psycopg.errors.QueryCanceled as error:
            raise errors.DeadlineExpired() from error
        except (
            psycopg.OperationalError,
            psycopg.InterfaceError,
            psycopg.errors.IdleInTransactionSessionTimeout,
        ) as error:
            if isinstance(error, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected):
                raise
            raise errors.ServiceUnavailable() from error

    def measure(self) -> PoolState:
        """How busy the pool is, for the metrics."""
        stats = self._pool.get_stats()
        size, free = stats.get("pool_size", 0), stats.get("pool_available", 0)
        state = PoolState(size - free, free, stats.get("requests_waiting", 0))
        tracing.POOL_SIZE.labels("busy").set(state.busy)
        tracing.POOL_SIZE.labels("free").set(state.free)
        tracing.POOL_WAITING.set(state.waiting)
        return state


class PoolState(NamedTuple):
    """Connections in use, connections free, and calls that wait for one."""

    busy: int
    free: int
    waiting: int


SPAN_ATTRIBUTES: Mapping[str, str] = {"db.system.name": "postgresql"}
"""The attributes of every statement's span."""


def violated(error: psycopg.Error) -> str:
    """The name of the constraint that a statement broke; empty where it was not one."""
    return error.diag.constraint_name or ""


def of_service(server_url: str, prefix: str, service: str) -> str:
    """The URL of a service's own database on a server. A server that is gone without a word is noticed in seconds."""
    return make_conninfo(
        server_url,
        dbname=f"{prefix}_{service}",
        connect_timeout=3,
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=2,
        tcp_user_timeout=6000,  # milliseconds
    )


def constant(value: str) -> ColumnElement[str]:
    """A text of ours that is written into the statement: the planner matches it with the condition of an index."""
    quoted = value.replace("'", "''")
    return literal_column(f"'{quoted}'")


def newest_first(rows: Select[Any], key: ColumnElement[Any]) -> Select[Any]:
    """A page of rows: `limit` of those whose ids are smaller than `after` (`chassis.rpc.pagination`)."""
    return rows.where(key < bindparam("after")).order_by(key.desc()).limit(bindparam("limit"))


def oldest_first(rows: Select[Any], key: ColumnElement[Any]) -> Select[Any]:
    """As `newest_first`, of those that are greater than `after`."""
    return rows.where(key > bindparam("after")).order_by(key).limit(bindparam("limit"))


def arrays(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    """Rows turned into columns, for `unnest`."""
    return [list(column) for column in zip(*rows, strict=True)]
