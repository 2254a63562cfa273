"""Keeps one part running: what dies is started again, after a delay that doubles with each death."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable

from deploy.local.supervisor.journal import Journal
from deploy.local.supervisor.listening import taken
from deploy.local.supervisor.part import Part
from deploy.local.supervisor.process import Process

FIRST_DELAY_S, MAX_DELAY_S = 0.1, 10.0
"""Before a part is started again: doubled with each death, from the first to the maximum."""
STABLE_AFTER_S = 20.0
"""A part that has run for so long begins at the first delay again."""


class Restarter:
    """One part and its present process. `changed` is called with every new process."""

    def __init__(self, part: Part, journal: Journal, changed: Callable[[], None]) -> None:
        self.part = part
        self.log = journal.log(part.name)
        self.process: Process | None = None
        self.deaths = 0
        """How often it died since it was last stable."""
        self._journal = journal
        self._changed = changed
        self._replacing = False
        self._task = asyncio.create_task(self._run())

    @property
    def pid(self) -> int | None:
        """The id of its process, while it runs."""
        return self.process.pid if self.process is not None and not self.process.ended.is_set() else None

    async def replace(self) -> None:
        """Stop the process; a new one starts immediately. Returns when the old one is gone."""
        if self.process is not None:
            self._replacing = True
            await self.process.stop(drain_s=self.part.drain_s)

    async def stop(self) -> None:
        """End the part for good."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        if self.process is not None:
            await self.process.stop()

    def kill(self) -> None:
        """The same with SIGKILL, without waiting."""
        self._task.cancel()
        if self.process is not None:
            self.process.kill()

    async def _run(self) -> None:
        while True:
            started = time.monotonic()
            try:
                self.process = Process(self.part, self.log)
            except OSError as error:
                self.log.write(f"cannot be started: {error.strerror}")
                reason = "could not be started"
            else:
                self._changed()
                await self.process.ended.wait()
                reason = _describe(self.process.code)
            if self._replacing:
                self._replacing = False
                continue
            self.deaths = 1 if time.monotonic() - started > STABLE_AFTER_S else self.deaths + 1
            delay = min(MAX_DELAY_S, FIRST_DELAY_S * 2 ** (self.deaths - 1))
            others = taken(self.part.ports)
            reason += f", for {others}" if others else ""
            self._journal.info(f"{self.part.name} {reason}; it starts again in {delay:.1f} s")
            await asyncio.sleep(delay)


def _describe(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
