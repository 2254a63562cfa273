"""The switches whose point is the process itself: it blocks, leaks, ends, or keeps a transaction open."""

import asyncio
import os
import resource
import time

import psycopg

from chassis.faults import catalogue, switches

INTERVAL_S = 0.25
BLOCKED_S = 0.6
CRASHES_AFTER_S = 10.0
LEAK_MB = 5
"""In each interval."""
MAX_LEAK_MB = 460
FILES_LEFT = 5


async def run(database_url: str) -> None:
    """Do what is on, until cancelled. Runs only in processes that have switches at all."""
    effects = _Effects(database_url)
    try:
        while True:
            await effects.step()
            await asyncio.sleep(INTERVAL_S)
    finally:
        await effects.end()


class _Effects:
    """What has been done and is to be undone."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._began = time.monotonic()
        self._leaked: list[bytearray] = []
        self._files = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._transaction: psycopg.AsyncConnection | None = None

    async def step(self) -> None:
        """Bring every effect in line with its switch."""
        if switches.on(catalogue.CRASHES) and time.monotonic() - self._began > CRASHES_AFTER_S:
            os._exit(1)
        while switches.on(catalogue.HANGS):
            time.sleep(INTERVAL_S)  # noqa: ASYNC251 - that the loop stands still is the failure
        if switches.on(catalogue.LOOP_BLOCKED):
            time.sleep(BLOCKED_S)  # noqa: ASYNC251 - as above
        if not switches.on(catalogue.MEMORY_LEAK):
            self._leaked.clear()
        elif len(self._leaked) * LEAK_MB < MAX_LEAK_MB:
            self._leaked.append(bytearray(os.urandom(1 << 20) * LEAK_MB))
        few = len(os.listdir("/proc/self/fd")) + FILES_LEFT if switches.on(catalogue.FEW_FILES) else self._files[0]
        if (few < self._files[0]) != (resource.getrlimit(resource.RLIMIT_NOFILE)[0] < self._files[0]):
            resource.setrlimit(resource.RLIMIT_NOFILE, (few, self._files[1]))
        if switches.on(catalogue.OLD_TRANSACTION) != (self._transaction is not None):
            await (self._begin() if self._transaction is None else self.end())

    async def _begin(self) -> None:
        self._transaction = await psycopg.AsyncConnection.connect(self._database_url)
        await self._transaction.execute("SET idle_in_transaction_session_timeout = 0")
        await self._transaction.execute("SELECT txid_current()")

    async def end(self) -> None:
        """Close the transaction."""
        if self._transaction is not None:
            await self._transaction.close()
            self._transaction = None
