"""Tells workers, here and in other processes, that there is work: NOTIFY, sent after the commit and debounced."""

import asyncio
import contextlib
from contextvars import Context
from time import monotonic

from chassis.storage.database import Database, Query

DEBOUNCE_S = 0.01
"""Seconds that the first NOTIFY after an idle time waits, so that concurrent puts share it."""
MIN_INTERVAL_S = 0.1
"""Minimum seconds between two NOTIFYs: each is a commit of its own."""

_running: set[asyncio.Task[None]] = set()
"""Event loops hold tasks weakly: an announcer that is no longer referenced still sends its last NOTIFY."""


class Announcer:
    """One channel; any number of processes may announce and wait."""

    def __init__(self, database: Database, channel: str) -> None:
        self.channel = channel
        self._database = database
        self._notify = Query(f"NOTIFY {channel}", name=f"notify {channel}")
        self._heard = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._unannounced = False
        self._announced = 0.0

    def announce(self) -> None:
        """Notify the workers, here and in other processes. Never fails, never waits."""
        self._heard.set()
        self._unannounced = True
        if self._task is None or self._task.done():
            # An empty context: one NOTIFY serves many calls, so it must not inherit one call's trace or deadline.
            self._task = asyncio.create_task(self._send(), context=Context())
            _running.add(self._task)
            self._task.add_done_callback(_running.discard)

    async def _send(self) -> None:
        """Send NOTIFY, debounced: what is announced meanwhile shares the next one."""
        while self._unannounced:
            await asyncio.sleep(max(DEBOUNCE_S, self._announced + MIN_INTERVAL_S - monotonic()))
            self._unannounced, self._announced = False, monotonic()
            with contextlib.suppress(Exception):  # a poll finds the work anyway
                await self._database.run(self._notify)

    def hear(self) -> None:
        """Wake those who wait in this process: a notification has arrived."""
        self._heard.set()

    async def wait(self, timeout: float) -> None:
        """Wait for a notification, for at most `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._heard.wait()
        self._heard.clear()
