"""Starts parts in levels, each gated on readiness, keeps them running, and stops them in reverse."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.local.components.services import module, python_environment
from deploy.local.failures import MeshFault
from deploy.local.state.journal import Journal
from deploy.local.supervisor.listening import taken
from deploy.local.supervisor.part import Part
from deploy.local.supervisor.process import Process
from deploy.local.supervisor.restarter import Keeper

PATIENCE = 120.0
"""Seconds that a part may take to become ready."""
TRIES = 3
"""Deaths before it is first ready that make a start fail."""
INTERVAL = 0.03
Question = Callable[[list[Part], float], str]
"""What to ask `gate` about services, given the seconds to wait."""


class Supervisor:
    """The parts that run. `changed` is told of every new process."""

    def __init__(self, journal: Journal, folder: Path, question: Question) -> None:
        self._journal = journal
        self._folder = folder
        self._question = question
        self._levels: list[list[Keeper]] = []
        self._changed = asyncio.Event()

    async def start(self, parts: Sequence[Part]) -> None:
        """Start a level and wait until every part is ready. Raises `MeshFault` where one does not get there."""
        level = [Keeper(part, self._journal, self._changed.set) for part in parts]
        self._levels.append(level)
        await self._gate(level)

    async def run(self, parts: Sequence[Part]) -> None:
        """Run commands to their end, one after the other. Raises `MeshFault` where one fails."""
        for part in parts:
            process = Process(part, self._journal.log(part.name))
            try:
                await process.ended.wait()
            finally:
                process.kill()
            if process.code:
                raise MeshFault(self._complaint(part, process.log.last, "failed"))

    async def check(self, part: Part) -> None:
        """Run a command that looks at something to its end. Raises `MeshFault` with its last words where it fails."""
        process = Process(part, self._journal.log(part.name))
        try:
            await process.ended.wait()
        finally:
            process.kill()
        if process.code:
            raise MeshFault(process.log.last or self._complaint(part, "", "failed"))

    async def restart(self, group: str, tell: Callable[[str], None] = lambda _: None) -> None:
        """Replace the processes of a group one at a time, each ready before the next. Raises `MeshFault`.

        `tell` hears of each.
        """
        found = [keeper for level in self._levels for keeper in level if keeper.part.group == group]
        if not found:
            raise MeshFault(f"There is no part {group!r}: say one of {', '.join(sorted(self.pids()))}.")
        for keeper in found:
            began = time.monotonic()
            tell(f"{keeper.part.name}: ending process {keeper.pid or '-'} softly …")
            keeper.deaths = 0
            await keeper.replace()
            await self._gate([keeper])
            tell(f"{keeper.part.name}: process {keeper.pid} is ready ({time.monotonic() - began:.1f} s)")

    async def stop(self) -> None:
        """End everything, the last level first."""
        for level in reversed(self._levels):
            await asyncio.gather(*(keeper.stop() for keeper in level))

    def kill(self) -> None:
        """End everything at once."""
        for level in self._levels:
            for keeper in level:
                keeper.kill()

    async def changes(self) -> None:
        """Return when a process was started since the last call."""
        await self._changed.wait()
        self._changed.clear()

    def pids(self) -> Mapping[str, list[int]]:
        """The processes that run, by group, in the order of their names."""
        found: dict[str, list[int]] = {}
        for level in self._levels:
            for keeper in level:
                found.setdefault(keeper.part.group, []).extend([keeper.pid] if keeper.pid else [])
        return found

    async def _gate(self, level: Sequence[Keeper]) -> None:
        began = time.monotonic()
        waits = [asyncio.create_task(self._probe(keeper, began)) for keeper in level if keeper.part.probe]
        if any(keeper.part.health for keeper in level):
            waits.append(asyncio.create_task(self._ask([keeper for keeper in level if keeper.part.health], began)))
        waits.append(asyncio.create_task(self._watch_deaths(level)))
        try:
            pending = set(waits)
            while len(pending) > 1:  # the watch of deaths never ends by itself
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _probe(self, keeper: Keeper, began: float) -> None:
        assert keeper.part.probe is not None
        while time.monotonic() - began < PATIENCE:
            if keeper.pid is not None and await keeper.part.probe(keeper.pid):
                self._tell_ready(keeper.part.name, began)
                return
            await asyncio.sleep(INTERVAL)
        raise MeshFault(self._complaint(keeper.part, keeper.log.last, f"was not ready after {PATIENCE:.0f} s"))

    async def _ask(self, keepers: Sequence[Keeper], began: float) -> None:
        """Have `gate` ask the services; it names each one that is ready."""
        missing = {keeper.part.name: keeper for keeper in keepers}
        question = self._question([keeper.part for keeper in keepers], PATIENCE)
        part = Part(
            "gate", "gate", module("deploy.local.supervisor.health_wait", question), python_environment(), self._folder
        )

        def hear(text: str) -> None:
            for name in text.split():
                if missing.pop(name, None):
                    self._tell_ready(name, began)

        process = Process(part, _Ear(hear))
        try:
            await process.ended.wait()
        finally:
            process.kill()
        for keeper in missing.values():
            raise MeshFault(self._complaint(keeper.part, keeper.log.last, f"was not ready after {PATIENCE:.0f} s"))

    async def _watch_deaths(self, level: Sequence[Keeper]) -> None:
        while True:
            for keeper in level:
                if keeper.deaths >= TRIES:
                    raise MeshFault(self._complaint(keeper.part, keeper.log.last, "does not start"))
            await asyncio.sleep(INTERVAL * 3)

    def _tell_ready(self, name: str, began: float) -> None:
        self._journal.tell(f"{name} is ready ({time.monotonic() - began:.1f} s)")

    def _complaint(self, part: Part, last: str, what: str) -> str:
        reason = f" ({others})" if (others := taken(part.ports)) else f" ({last[:300]})" if last else ""
        return f"{part.name} {what}{reason}: see {self._journal.file(part.name)}."


class _Ear:
    """A log that listens."""

    last = ""

    def __init__(self, hear: Callable[[str], None]) -> None:
        self.write = hear
