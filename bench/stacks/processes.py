"""Starts the processes that are measured, waits until they answer, and ends them."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [ROOT, ROOT / "gen/python", ROOT / "clients/python/src", ROOT / "third_party/python"]


class NotReady(Exception):
    """A process ended or stayed silent instead of answering; the message has the end of its log."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_address() -> str:
    """`127.0.0.1:port`, free now."""
    return f"127.0.0.1:{free_port()}"


class Process:
    """A running process; its output goes to `log`."""

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.log = log
        paths = os.pathsep.join(map(str, SOURCES))
        with log.open("wb") as out:
            self._popen = subprocess.Popen(
                list(command),
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": paths, **(env or {})},
                cwd=ROOT,
                start_new_session=True,
            )

    @classmethod
    def python(cls, *arguments: str, log: Path, env: Mapping[str, str] | None = None) -> "Process":
        """`python -m …` with this interpreter."""
        return cls([sys.executable, "-m", *arguments], log, env)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._popen.pid

    def wait_for(self, address: str, seconds: float = 30.0) -> float:
        """Returns once the process accepts connections at `host:port`: seconds waited. Raises `NotReady`."""
        host, _, port = address.rpartition(":")
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if self._popen.poll() is not None:
                break
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return time.monotonic() - began
        raise NotReady(f"{self._popen.args!r} does not answer at {address}:\n{self.tail()}")

    def wait_until_logged(self, words: str, times: int, seconds: float = 60.0) -> None:
        """Returns once the log has `words` `times` times. Raises `NotReady`."""
        began = time.monotonic()
        while self.log.read_text(errors="replace").count(words) < times:
            if self._popen.poll() is not None or time.monotonic() - began > seconds:
                raise NotReady(f"{self._popen.args!r} did not get ready:\n{self.tail()}")
            time.sleep(0.05)

    def wait(self, seconds: float = 60.0) -> None:
        """Returns once the process has ended well. Raises `NotReady`."""
        if self._popen.wait(seconds):
            raise NotReady(f"{self._popen.args!r} failed:\n{self.tail()}")

    def tail(self) -> str:
        """The end of the log."""
        return self.log.read_text(errors="replace")[-4000:]

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Ends the process and what it started; by force after 10 s."""
        if self._popen.poll() is None:
            self._popen.send_signal(how)
            try:
                self._popen.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                self._popen.wait()

    async def stopped(self) -> None:
        """`stop`, without blocking the loop."""
        await asyncio.to_thread(self.stop)
