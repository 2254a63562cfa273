"""Connections with a response time-out, how each is set up, and the share of a pool that writers may use."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

from chassis import errors
from chassis.storage.pg_arrays import ArrayDumper

Result = TypeVar("Result")
RESPONSE_TIMEOUT_S = 6.0
"""Seconds after which a silent server is presumed lost; longer than `statement_timeout`."""
WRITER_SLOT_TIMEOUT_S = 5.0
"""Seconds that a writer waits for a slot."""


class Connection(psycopg.AsyncConnection[Any]):
    """Closes the socket of a server that does not answer; the pool then replaces it like any lost connection.

    `tcp_user_timeout` detects a lost network, but not a peer or a proxy that accepts everything and never answers.
    """

    async def wait(self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = None) -> Result:
        """As in the base class, for at most `RESPONSE_TIMEOUT_S` seconds, and without its ten looks a second."""
        timer = asyncio.get_running_loop().call_later(RESPONSE_TIMEOUT_S, self._shut_down)
        try:
            return await super().wait(gen, max(interval, RESPONSE_TIMEOUT_S), timeout)
        finally:
            timer.cancel()

    def _shut_down(self) -> None:
        # Shut down and not closed: the reader of the socket sees its end, and cleans up.
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self.pgconn.socket)) as own:
            own.shutdown(socket.SHUT_RDWR)


async def configure(connection: Connection) -> None:
    """Set up a new connection of the pool."""
    connection.adapters.register_dumper(list, ArrayDumper)
    # Bounds for a statement that waits for a lock, for one that never ends, and for a transaction whose process stands
    # still; a statement whose caller hung up ends soon after. No caller waits longer anyway.
    # Statements have one plan for all values; left to itself PostgreSQL plans some of them anew each time (100 µs a look-up).
    await connection.execute(
        "SET lock_timeout = '3s'; SET statement_timeout = '5s'; SET idle_in_transaction_session_timeout = '10s'; "
        "SET client_connection_check_interval = '2s'; SET timezone = 'UTC'; SET plan_cache_mode = 'force_generic_plan'",
        prepare=False,
    )


def plan_is_stale(error: psycopg.errors.FeatureNotSupported) -> bool:
    """Whether a prepared statement's columns are not what they were when it was prepared: a migration changed the table."""
    return error.diag.source_function == "RevalidateCachedQuery"


class WriterSlots:
    """A semaphore with a bounded queue and a bounded wait."""

    def __init__(self, slots: int, max_waiting: int) -> None:
        self._free = asyncio.Semaphore(slots)
        self._max_waiting = max_waiting
        self._waiting = 0

    async def __aenter__(self) -> None:
        """Raises `ServiceUnavailable` where no slot becomes free in time, or too many are waiting."""
        if not self._free.locked():
            await self._free.acquire()
            return
        if self._waiting >= self._max_waiting:
            raise errors.ServiceUnavailable
        self._waiting += 1
        try:
            async with asyncio.timeout(WRITER_SLOT_TIMEOUT_S):
                await self._free.acquire()
        except TimeoutError:
            raise errors.ServiceUnavailable from None
        finally:
            self._waiting -= 1

    async def __aexit__(self, *_: object) -> None:
        self._free.release()
