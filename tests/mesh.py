"""A whole mesh for tests: `mesh` is one for all workers of a run; `Mesh` starts more, for tests that break things."""

import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.local.demo.scenario import Scenario
from deploy.local.options import ROOT
from deploy.local.state.ports import Ports
from tests.servers import data_place, wait_until

START = 150
"""Seconds that a first start may take on a busy machine."""
PLACE = "WEFT_TEST_MESH"
"""Where the run's mesh is; set by the first process of the run, and so known to all its workers."""

_homes: set[Path] = set()
"""Of the meshes that this process has started."""


def homes() -> list[Path]:
    """The folders of every mesh that tests of this process can see, the run's own included."""
    shared = Path(os.environ[PLACE]) / "home" if PLACE in os.environ else None
    return sorted(home for home in {*_homes, shared} if home is not None and home.exists())


class Mesh:
    """A mesh in a folder. `content` is its mesh file; pids in it change, so it is read each time."""

    def __init__(self, home: Path, env: Mapping[str, str] | None = None, root: Path = ROOT) -> None:
        self.home = home
        self.root = root
        # All tests are one address, and many of them are refused.
        self._env = {"WEFT_REFUSALS": "1000000"} | dict(env or {})
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def content(self) -> dict[str, Any]:
        """`mesh.json`."""
        return json.loads((self.home / "mesh.json").read_text())

    @property
    def output(self) -> str:
        """What it has printed."""
        return (self.home.parent / f"{self.home.name}.out").read_text(errors="replace")

    def start(self) -> "Mesh":
        """Start it and wait until it says that it is ready."""
        _homes.add(self.home)
        self.home.parent.mkdir(parents=True, exist_ok=True)
        if "WEFT_EDGE_PORT" not in self._env:
            self._ports = Ports(self.home.parent / "edge port")
            self._env["WEFT_EDGE_PORT"] = str(self._ports.take("edge"))
        with (self.home.parent / f"{self.home.name}.out").open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.local", "run"],
                cwd=self.root,
                env={**os.environ, "WEFT_HOME": str(self.home), **self._env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        wait_until(self._has_started, f"the mesh in {self.home}", START)
        if self.process.poll() is not None:
            raise AssertionError(f"the mesh ended with {self.process.returncode}:\n{self.output[-3000:]}")
        return self

    def _has_started(self) -> bool:
        assert self.process is not None
        said = any(line.startswith("ready http") for line in self.output.splitlines())
        return said or self.process.poll() is not None

    def processes(self) -> list[psutil.Process]:
        """Every process of it that runs."""
        assert self.process is not None
        try:
            first = psutil.Process(self.process.pid)
            return [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal to the process that was started and wait for its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def command(self, *words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """`python -m deploy.local …` on this mesh."""
        return subprocess.run(
            [sys.executable, "-m", "deploy.local", *words],
            cwd=self.root,
            env={**os.environ, "WEFT_HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


def pytest_configure(config: pytest.Config) -> None:
    """Choose the place of the run's mesh, once for all workers."""
    if not hasattr(config, "workerinput"):
        # Short and open, for the database's unprivileged user.
        os.environ[PLACE] = os.path.join(data_place(), f"weft-mesh-{os.getpid()}-{secrets.token_hex(3)}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop the run's mesh, if any test asked for it, and remove what the run's workers share."""
    if hasattr(session.config, "workerinput"):
        return
    place = Path(os.environ.pop(PLACE, ""))
    if (place / "home" / "mesh.json").exists():
        init = psutil.Process(int((place / "pid").read_text()))
        init.send_signal(signal.SIGTERM)
        init.wait(30)
    if place.name.startswith("weft-mesh-"):
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def shared(name: str) -> Iterator[Path]:
    """A path in the folder of the run, for what one worker makes and the others find; theirs alone meanwhile."""
    place = Path(os.environ[PLACE])
    place.mkdir(mode=0o711, exist_ok=True)
    with (place / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield place / name


@pytest.fixture(scope="session")
def mesh() -> dict[str, Any]:
    """The mesh file of a running mesh that all tests of this run share: they must neither break nor stop it."""
    with shared("home") as home:
        running = Mesh(home)
        if not (home / "mesh.json").exists():
            running.start()
            assert running.process is not None
            (home.parent / "pid").write_text(str(running.process.pid))
            running.process.returncode = 0  # its end is for the last process of the run to wait for
    return running.content


@pytest.fixture
def scenario(mesh: dict[str, Any]) -> Iterator[Scenario]:
    """The steps of a customer and of a partner against the shared mesh."""
    steps = Scenario(mesh)
    yield steps
    steps.close()
