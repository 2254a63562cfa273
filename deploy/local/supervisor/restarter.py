"""Keeps one part running: what dies is started again, at once at first and then more slowly."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable

from deploy.local.state.journal import Journal
from deploy.local.supervisor.listening import taken
from deploy.local.supervisor.part import Part
from deploy.local.supervisor.process import Process

FIRST, MOST = 0.1, 10.0
"""Seconds before a part is started again: doubled with each death, from the first to the most."""
STEADY = 20.0
"""Seconds after which a part that runs counts as well again."""


class Keeper:
    """One part and its present process. `changed` is called with every new process."""

    def __init__(self, part: Part, journal: Journal, changed: Callable[[], None]) -> None:
        self.part = part
        self.log = journal.log(part.name)
        self.process: Process | None = None
        self.deaths = 0
        """How often it died since it was last well."""
        self._journal = journal
        self._changed = changed
        self._replacing = False
        self._task = asyncio.create_task(self._keep())

    @property
    def pid(self) -> int | None:
        """The id of its process, while it runs."""
        return self.process.pid if self.process is not None and not self.process.ended.is_set() else None

    async def replace(self) -> None:
        """End the process softly; a new one starts at once. Returns when the old one is gone."""
        if self.process is not None:
            self._replacing = True
            await self.process.stop()

    async def stop(self) -> None:
        """End the part for good."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        if self.process is not None:
            await self.process.stop()

    def kill(self) -> None:
        """The same at once, without waiting."""
        self._task.cancel()
        if self.process is not None:
            self.process.kill()

    async def _keep(self) -> None:
        while True:
            started = time.monotonic()
            try:
                self.process = Process(self.part, self.log)
            except OSError as error:
                self.log.write(f"cannot be started: {error.strerror}")
                how = "could not be started"
            else:
                self._changed()
                await self.process.ended.wait()
                how = _describe(self.process.code)
            if self._replacing:
                self._replacing = False
                continue
            self.deaths = 1 if time.monotonic() - started > STEADY else self.deaths + 1
            pause = min(MOST, FIRST * 2 ** (self.deaths - 1))
            others = taken(self.part.ports)
            how += f", for {others}" if others else ""
            self._journal.tell(f"{self.part.name} {how}; it starts again in {pause:.1f} s")
            await asyncio.sleep(pause)


def _describe(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
