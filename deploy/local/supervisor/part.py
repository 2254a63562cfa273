"""What a part of the mesh is, before it runs."""

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Probe = Callable[[int], Awaitable[bool]]
"""Whether the process with this pid is ready; must not raise, nor take long."""


class Child(Protocol):
    """A process that was started."""

    pid: int

    def wait(self) -> int:
        """Its exit code once it has ended, negative for a signal."""


class Forks(Protocol):
    """Starts parts faster, and smaller, than their commands do."""

    def start(self, part: "Part", output: int) -> Child:
        """Start a part that writes to a descriptor. Raises `OSError`."""


@dataclass(frozen=True)
class Part:
    """One process, described. Readiness is what `probe` says; services have `health` instead and are asked together."""

    name: str
    """`order-1`; also its log's name."""
    group: str
    """`order`; its place among the mesh file's pids."""
    command: tuple[str, ...]
    env: Mapping[str, str]
    folder: Path
    """Where it runs."""
    probe: Probe | None = None
    health: str = ""
    """`host:port` of its gRPC health service."""
    forks: Forks | None = None
    """What starts it while that works; its command is `module(…)` then."""
    ports: tuple[int, ...] = ()
    """The TCP ports that it listens on, to say who has them where it cannot."""
    user: int | None = None
    """The user id to run as, where it is not ours."""
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL
    """What it gets from the kernel when the supervisor dies."""
    stop_grace_s: float = 2.0
    """Between the stop signal and SIGKILL."""
    drain: Callable[[float], Awaitable[None]] | None = None
    """Has its callers leave before the stop signal, in so many seconds at most."""
    drain_s: float = 0.0
    """For its callers to leave, where the part is replaced and not stopped with all others."""
