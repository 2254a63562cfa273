"""Real PostgreSQL and Valkey for the tests: the mesh's own parts, without its supervisor."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

import psycopg

from deploy.local.components import valkey
from deploy.local.components.postgres import Postgres
from deploy.local.state.home import Home
from deploy.local.state.ports import HIGHEST, LOWEST, Ports, is_free
from deploy.local.supervisor.part import Part

_ROOM = 2 << 30
"""Bytes that must be free in memory's file system: two workers' databases with their logs, and a mesh."""


def data_place() -> str:
    """The folder for the data of servers: in memory, where a clone of a database costs a sixth; else the temporary one."""
    memory = "/dev/shm"
    with suppress(OSError):
        found = os.statvfs(memory)
        # A copy of the database's programs may have to run from there.
        if os.access(memory, os.W_OK) and found.f_bavail * found.f_bsize > _ROOM and not found.f_flag & os.ST_NOEXEC:
            return memory
    return tempfile.gettempdir()


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that are free now, all different; below those of outgoing connections, which could take one meanwhile."""
    tried = random.sample(range(LOWEST, HIGHEST), 200)
    return list(islice((port for port in tried if is_free(port, shared=False)), count))


@contextmanager
def running(part: Part) -> Iterator[subprocess.Popen[bytes]]:
    """A part as a process, ready; ended at the end."""
    user = {} if part.user is None else {"user": part.user, "group": part.user, "extra_groups": []}
    process = subprocess.Popen(
        part.command, env=dict(part.env), cwd=part.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user
    )
    try:
        wait_until(lambda: part.probe is not None and asyncio.run(part.probe(process.pid)), f"{part.name} to be ready")
        yield process
    finally:
        process.send_signal(part.stop_signal)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(condition, what: str, seconds: float = 20.0) -> None:
    """Poll until a condition holds; fails with what was waited for."""
    began = time.monotonic()
    while not condition():
        if (waited := time.monotonic() - began) > seconds:
            raise AssertionError(f"waited {seconds:.0f} s for {what}")
        time.sleep(_pause(waited))


async def until(condition, what: str, seconds: float = 20.0) -> None:
    """The same for a condition that is awaited."""
    began = time.monotonic()
    while not await condition():
        if (waited := time.monotonic() - began) > seconds:
            raise AssertionError(f"waited {seconds:.0f} s for {what}")
        await asyncio.sleep(_pause(waited))


def _pause(waited: float) -> float:
    """Seconds until the next look: a twentieth of those that have been waited, as each look may cost what is waited for."""
    return min(0.25, max(0.02, waited / 20))


@contextmanager
def postgres(folder: Path, *options: str) -> Iterator[str]:
    """A PostgreSQL server, with more settings (`wal_level=replica`); its URL."""
    home = Home(folder)
    home.create()
    ports = Ports(folder / "ports.json")
    server = Postgres(home, "test", ports.take("postgres"), connections=200)
    server.prepare()
    part = server.part()
    # Nothing outlives the session, so nothing waits for the disk: a clone of a database writes 300 files.
    more = (word for option in options for word in ("-c", option))
    with running(replace(part, command=(*part.command, *_NOT_DURABLE, *more))):
        with psycopg.connect(server.url, dbname="postgres", autocommit=True) as connection:
            connection.execute("ALTER ROLE CURRENT_USER PASSWORD 'test'")  # anew, with one iteration
        yield server.url


_NOT_DURABLE = (
    *("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "scram_iterations=1", "-c", "authentication_timeout=3s"),
)
"""DROP DATABASE waits for a connection that a stopping pool has abandoned before it was authenticated: 60 s by default."""


_STARTER = """
import json, subprocess, sys
for line in sys.stdin:
    subprocess.run(**json.loads(line), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""
"""Runs one command after the other. A process in which gRPC runs must not fork."""


class CrashingPostgres:
    """A PostgreSQL server of one test's own, which crashes on demand, and comes back with its data."""

    def __init__(self, folder: Path) -> None:
        home = Home(folder)
        home.create()
        self._ports = Ports(folder / "ports.json")
        self._server = Postgres(home, "test", self._ports.take("postgres"), connections=200)
        self._server.prepare()
        self._part = self._server.part()
        self._starter = subprocess.Popen([sys.executable, "-c", _STARTER], stdin=subprocess.PIPE, text=True)
        self.url = self._server.url
        self._start()

    def _start(self) -> None:
        part = self._part
        user = {} if part.user is None else {"user": part.user, "group": part.user, "extra_groups": []}
        command = {"args": part.command, "env": dict(part.env), "cwd": str(part.folder), **user}
        assert self._starter.stdin is not None
        self._starter.stdin.write(json.dumps(command) + "\n")
        self._starter.stdin.flush()
        wait_until(lambda: (pid := self._pid()) is not None and asyncio.run(part.probe(pid)), "postgres", 60)

    def _pid(self) -> int | None:
        """The postmaster's, while it runs."""
        return next(iter(_children(self._starter.pid)), None)

    def crash(self) -> None:
        """End the postmaster at once, as a machine without power does; then start it again."""
        pid = self._pid()
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)  # no more children
        children = _children(pid)
        os.kill(pid, signal.SIGKILL)
        # They notice by themselves, and until then hold the memory that a new server needs.
        wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in children), "the back ends to end")
        self._start()

    def close(self) -> None:
        """Stop it."""
        pid = self._pid()
        if pid is not None:
            os.kill(pid, signal.SIGINT)
        with self._starter as starter:
            assert starter.stdin is not None
            starter.stdin.close()
            starter.wait(20)


def _children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


@contextmanager
def valkey_server(folder: Path) -> Iterator[str]:
    """A Valkey server; its URL."""
    home = Home(folder)
    home.create()
    port = Ports(folder / "ports.json").take("valkey")
    with running(valkey.part(home, "test", port)):
        yield valkey.url("test", port)
