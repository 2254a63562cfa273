"""Real PostgreSQL and Valkey for the tests: the mesh's own parts, without its supervisor."""

import asyncio
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local import valkey
from deploy.local.home import Home
from deploy.local.part import Part
from deploy.local.ports import Ports
from deploy.local.postgres import Postgres


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
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.02)


async def until(condition, what: str, seconds: float = 20.0) -> None:
    """The same for a condition that is awaited."""
    end = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:.0f} s for {what}")
        await asyncio.sleep(0.02)


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL server; its URL."""
    home = Home(folder)
    home.create()
    server = Postgres(home, "test", Ports(folder / "ports.json").take("postgres"), connections=200)
    server.prepare()
    with running(server.part()):
        yield server.url


@contextmanager
def valkey_server(folder: Path) -> Iterator[str]:
    """A Valkey server; its URL."""
    home = Home(folder)
    home.create()
    port = Ports(folder / "ports.json").take("valkey")
    with running(valkey.part(home, "test", port)):
        yield valkey.url("test", port)
