"""Connections that do not wait for ever, and the places that writers may take of a pool."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

from chassis import errors

Result = TypeVar("Result")
RESPONSE_TIMEOUT_S = 6.0
"""Seconds after which a server that has not answered is taken for gone; longer than `statement_timeout`."""
WRITER_SLOT_TIMEOUT_S = 5.0
"""Seconds that a writer waits for a place."""


class Connection(psycopg.AsyncConnection[Any]):
    """Hangs up on a server that does not answer, which then looks like any lost connection: the pool makes a new one.

    `tcp_user_timeout` notices a network that is gone, and not a peer or a proxy that takes everything and says nothing.
    """

    async def wait(self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = None) -> Result:
        """As the base class does, and no longer than `RESPONSE_TIMEOUT_S`."""
        timer = asyncio.get_running_loop().call_later(RESPONSE_TIMEOUT_S, self._hang_up)
        try:
            return await super().wait(gen, interval, timeout)
        finally:
            timer.cancel()

    def _hang_up(self) -> None:
        # Shut down and not closed: whoever waits for the socket reads its end, and cleans up after itself.
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self.pgconn.socket)) as own:
            own.shutdown(socket.SHUT_RDWR)


class WriterSlots:
    """A context that so many may be in at once; the others wait, at most so many of them and for a bounded time."""

    def __init__(self, places: int, most_waiting: int) -> None:
        self._free = asyncio.Semaphore(places)
        self._most_waiting = most_waiting
        self._waiting = 0

    async def __aenter__(self) -> None:
        """Raises `ServiceUnavailable` where no place becomes free in time."""
        if not self._free.locked():
            await self._free.acquire()
            return
        if self._waiting >= self._most_waiting:
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
