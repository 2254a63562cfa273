"""Starts parts in levels, waits until each level is ready, keeps them running, and stops them in reverse."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from deploy.local.failures import MeshError
from deploy.local.supervisor.journal import Journal
from deploy.local.supervisor.listening import taken
from deploy.local.supervisor.part import Part
from deploy.local.supervisor.process import Process
from deploy.local.supervisor.python import module, python_environment
from deploy.local.supervisor.restarter import Restarter

READY_TIMEOUT_S = 120.0
"""For a part to become ready."""
MAX_START_ATTEMPTS = 3
"""Deaths before it is first ready that make a start fail."""
RETURN_S = 4.0
"""Between a part that is ready again and the end of the next in its group: callers that were refused try again within 3.6 s."""
POLL_INTERVAL_S = 0.03
HealthRequest = Callable[[list[Part], float], str]
"""The argument of `health_wait` for parts, given the seconds to wait."""


class Supervisor:
    """The parts that run."""

    def __init__(self, journal: Journal, folder: Path, health_request: HealthRequest) -> None:
        self._journal = journal
        self._folder = folder
        self._health_request = health_request
        self._levels: list[list[Restarter]] = []
        self._changed = asyncio.Event()

    async def start(self, parts: Sequence[Part]) -> None:
        """Start a level and wait until every part is ready. Raises `MeshError` where one does not get there."""
        level = [Restarter(part, self._journal, self._changed.set) for part in parts]
        self._levels.append(level)
        await self._wait_ready(level)

    async def run(self, part: Part) -> None:
        """Run a command to its end. Raises `MeshError` where it fails."""
        process = Process(part, self._journal.log(part.name))
        try:
            await process.ended.wait()
        finally:
            process.kill()
        if process.code:
            raise MeshError(self._fault(part, process.log.last, "failed"))

    async def operate(self, part: Part, report: Callable[[str], None]) -> None:
        """Run an operator's command to its end; `report` gets its lines. Raises `MeshError` where it fails."""
        sink = _Reporter(report)
        process = Process(part, sink)
        try:
            await process.ended.wait()
        finally:
            process.kill()
        if process.code:
            raise MeshError(sink.last or f"{part.name} ended with exit code {process.code}.")
        sink.flush()

    async def ask(self, part: Part) -> str:
        """Run a command to its end; its last line, and any other is for its log. Raises `MeshError` with it where it fails."""
        answer = _Answer()
        process = Process(part, answer)
        try:
            await process.ended.wait()
        finally:
            process.kill()
        if answer.others:
            self._journal.log(part.name).write("\n".join(answer.others))
        if process.code:
            raise MeshError(answer.last or self._fault(part, "", "failed"))
        return answer.last

    async def check(self, part: Part) -> None:
        """Run a check to its end. Raises `MeshError` with its last line where it fails."""
        process = Process(part, self._journal.log(part.name))
        try:
            await process.ended.wait()
        finally:
            process.kill()
        if process.code:
            raise MeshError(process.log.last or self._fault(part, "", "failed"))

    async def restart(
        self,
        group: str,
        report: Callable[[str], None] = lambda _: None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Replace the processes of a group one at a time, each ready before the next. Raises `MeshError`.

        `report` is called with a line before and after each; `env` is added to their environment, from now on.
        """
        found = [restarter for level in self._levels for restarter in level if restarter.part.group == group]
        if not found:
            raise MeshError(f"There is no part {group!r}: say one of {', '.join(sorted(self.pids()))}.")
        for restarter in found:
            if restarter is not found[0]:
                await asyncio.sleep(RETURN_S)
            began = time.monotonic()
            report(f"{restarter.part.name}: stopping process {restarter.pid or '-'} …")
            restarter.deaths = 0
            restarter.part = replace(restarter.part, env={**restarter.part.env, **(env or {})})
            await restarter.replace()
            await self._wait_ready([restarter])
            report(f"{restarter.part.name}: process {restarter.pid} is ready ({time.monotonic() - began:.1f} s)")

    async def stop(self) -> None:
        """End everything, the last level first. What one part raises is raised once all have ended."""
        raised: list[BaseException] = []
        for level in reversed(self._levels):
            ended = await asyncio.gather(*(restarter.stop() for restarter in level), return_exceptions=True)
            raised += [outcome for outcome in ended if isinstance(outcome, BaseException)]
        if raised:
            raise raised[0]

    def kill(self) -> None:
        """Send SIGKILL to everything."""
        for level in self._levels:
            for restarter in level:
                restarter.kill()

    async def changes(self) -> None:
        """Return when a process was started since the last call."""
        await self._changed.wait()
        self._changed.clear()

    def pids(self) -> Mapping[str, list[int]]:
        """The processes that run, by group, in the order of their names."""
        found: dict[str, list[int]] = {}
        for level in self._levels:
            for restarter in level:
                found.setdefault(restarter.part.group, []).extend([restarter.pid] if restarter.pid else [])
        return found

    async def _wait_ready(self, level: Sequence[Restarter]) -> None:
        began = time.monotonic()
        waits = [asyncio.create_task(self._probe(restarter, began)) for restarter in level if restarter.part.probe]
        if any(restarter.part.health for restarter in level):
            waits.append(
                asyncio.create_task(
                    self._check_health([restarter for restarter in level if restarter.part.health], began)
                )
            )
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

    async def _probe(self, restarter: Restarter, began: float) -> None:
        assert restarter.part.probe is not None
        while time.monotonic() - began < READY_TIMEOUT_S:
            if restarter.pid is not None and await restarter.part.probe(restarter.pid):
                self._report_ready(restarter.part.name, began)
                return
            await asyncio.sleep(POLL_INTERVAL_S)
        raise MeshError(self._fault(restarter.part, restarter.log.last, f"was not ready after {READY_TIMEOUT_S:.0f} s"))

    async def _check_health(self, restarters: Sequence[Restarter], began: float) -> None:
        """Have `health_wait` ask the services; it prints the name of each one that is ready."""
        missing = {restarter.part.name: restarter for restarter in restarters}
        request = self._health_request([restarter.part for restarter in restarters], READY_TIMEOUT_S)
        command = module("deploy.local.supervisor.health_wait", request)
        part = Part("health_wait", "health_wait", command, python_environment(), self._folder)

        def take(text: str) -> None:
            for name in text.split():
                if missing.pop(name, None):
                    self._report_ready(name, began)

        process = Process(part, _Listener(take))
        try:
            await process.ended.wait()
        finally:
            process.kill()
        for restarter in missing.values():
            raise MeshError(
                self._fault(restarter.part, restarter.log.last, f"was not ready after {READY_TIMEOUT_S:.0f} s")
            )

    async def _watch_deaths(self, level: Sequence[Restarter]) -> None:
        while True:
            for restarter in level:
                if restarter.deaths >= MAX_START_ATTEMPTS:
                    raise MeshError(self._fault(restarter.part, restarter.log.last, "does not start"))
            await asyncio.sleep(POLL_INTERVAL_S * 3)

    def _report_ready(self, name: str, began: float) -> None:
        self._journal.info(f"{name} is ready ({time.monotonic() - began:.1f} s)")

    def _fault(self, part: Part, last: str, what: str) -> str:
        reason = f" ({others})" if (others := taken(part.ports)) else f" ({last[:300]})" if last else ""
        return f"{part.name} {what}{reason}: see {self._journal.file(part.name)}."


class _Reporter:
    """A log that hands on the lines for people, and keeps the last one back: where the command fails, it says why."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self.last = ""
        self._report = report

    def write(self, text: str, /) -> None:
        """Take lines; those of the service's log, which are JSON, are not for people."""
        for line in text.splitlines():
            self.flush()
            self.last = line

    def flush(self) -> None:
        """Hand on the line that was kept back."""
        if self.last and not self.last.startswith("{"):
            self._report(self.last)
        self.last = ""


class _Answer:
    """A log of which the last line counts."""

    def __init__(self) -> None:
        self.last = ""
        self.others: list[str] = []

    def write(self, text: str, /) -> None:
        """Take lines."""
        lines = [line for line in [self.last, *text.splitlines()] if line.strip()]
        self.others += lines[:-1]
        self.last = lines[-1] if lines else ""


class _Listener:
    """A log that hands its lines to a function."""

    last = ""

    def __init__(self, take: Callable[[str], None]) -> None:
        self.write = take
