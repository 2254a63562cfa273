"""One child process: started so that it cannot outlive us, read line by line, stopped with a bounded wait."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from typing import Protocol

from deploy.local.supervisor.part import Child, Part
from deploy.local.supervisor.prctl import die_with_parent

DRAIN_S = 0.5
"""For callers to leave a part that is not replaced."""


class LineSink(Protocol):
    """Takes the lines of a process; `last` is the last one, which says why it ended."""

    last: str

    def write(self, text: str, /) -> None:
        """Take one or more lines."""


class Process:
    """A running part. `ended` is set when it is gone; `code` is then its exit code, negative for a signal."""

    def __init__(self, part: Part, log: LineSink) -> None:
        """Start it. Raises `OSError` where that fails."""
        self.part = part
        self.log = log
        self.ended = asyncio.Event()
        self.code: int | None = None
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            self._child = _fork(part, writing) or _execute(part, writing)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self._watch(reading)

    @property
    def pid(self) -> int:
        """The process id; also of its process group."""
        return self._child.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing where it is gone."""
        if not self.ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def stop(self, grace_s: float | None = None, drain_s: float = DRAIN_S) -> None:
        """Drain it, send the stop signal; after `grace_s` (the part's own by default) SIGKILL. Returns when it has ended."""
        if not self.ended.is_set() and self.part.drain is not None:
            await self.part.drain(drain_s)
        self.signal(self.part.stop_signal)
        try:
            async with asyncio.timeout(self.part.stop_grace_s if grace_s is None else grace_s):
                await self.ended.wait()
        except TimeoutError:
            self.kill()
            await self.ended.wait()

    def kill(self) -> None:
        """Send SIGKILL to it and to what it started."""
        if not self.ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def _watch(self, reading: int) -> None:
        loop = asyncio.get_running_loop()
        os.set_blocking(reading, False)
        unfinished = bytearray()

        def read() -> None:
            try:
                chunk = os.read(reading, 1 << 16)
            except BlockingIOError:
                return
            unfinished.extend(chunk)
            whole, line_end, rest = bytes(unfinished).rpartition(b"\n")
            if line_end or not chunk or len(unfinished) > 1 << 16:
                taken = whole if line_end else bytes(unfinished)
                unfinished[:] = rest if line_end else b""
                if taken:
                    self.log.write(taken.decode(errors="replace"))
            if not chunk:
                loop.remove_reader(reading)
                os.close(reading)

        def end() -> None:
            loop.remove_reader(watched)
            os.close(watched)
            self.code = self._child.wait()
            with contextlib.suppress(OSError):
                read()  # its last lines, before anyone reads `last`
            self.ended.set()

        watched = os.pidfd_open(self.pid)
        loop.add_reader(reading, read)
        loop.add_reader(watched, end)


def _fork(part: Part, output: int) -> Child | None:
    if part.forks is None:
        return None
    with contextlib.suppress(OSError):
        return part.forks.start(part, output)
    return None


def _execute(part: Part, output: int) -> Child:
    return subprocess.Popen(
        part.command,
        cwd=part.folder,
        env=dict(part.env),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,  # the terminal's Ctrl-C is for the supervisor alone
        preexec_fn=_die_with_parent_hook(os.getpid(), part.orphan_signal),
        user=part.user,
        group=part.user,
        extra_groups=None if part.user is None else [],
    )


def _die_with_parent_hook(parent: int, number: signal.Signals) -> Callable[[], None]:
    def hook() -> None:
        die_with_parent(number)
        if os.getppid() != parent:  # it died before the kernel knew
            os._exit(1)

    return hook
