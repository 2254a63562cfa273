"""One run of the bench: its length, its common terms, and the stacks, which start when a workload first asks for them."""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.load.plan import Plan
from bench.measurements.accounts import Groups
from bench.measurements.measure import run
from bench.measurements.rows import Row, Side, alternate
from bench.stacks import peers, proxy
from bench.stacks import weft as meshes
from bench.stacks.postgres import Postgres
from bench.stacks.processes import Process, free_address
from bench.stacks.weft import Weft


@dataclass(frozen=True)
class Length:
    """How long things take. Seconds; `settle` is load before the first round that is not counted."""

    rounds: int
    seconds: float
    warm_up: float
    settle: float
    sizes: tuple[int, ...]
    growth: int
    """Orders that are stored for `growth`."""
    replicas: tuple[int, ...]

    @property
    def few(self) -> int:
        """Rounds of what no aim hangs on."""
        return min(self.rounds, 3)


QUICK = Length(rounds=2, seconds=1.2, warm_up=0.3, settle=1.2, sizes=(100_000,), growth=1_000_000, replicas=(1, 2))
FULL = Length(
    rounds=5,
    seconds=3.0,
    warm_up=1.0,
    settle=5.0,
    sizes=(10_000, 100_000, 1_000_000),
    growth=10_000_000,
    replicas=(1, 2, 3),
)


@dataclass
class Bench:
    """What the workloads share. `ratio` is the share of traces that is sampled, on every side."""

    length: Length
    ratio: float = 1.0
    say: Callable[[str], None] = print
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="weft-bench-")))
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.chmod(0o711)
        self._receiver: tuple[str, Process] | None = None
        self._peers: dict[str, tuple[peers.Peer, Postgres]] = {}
        self._weft: Weft | None = None
        self._others: list[Process] = []
        self._proxied: dict[str, peers.Peer] = {}
        self._settled: set[tuple[str, ...]] = set()

    @property
    def receiver(self) -> str:
        """`host:port` of the trace receiver that all sides send to."""
        if self._receiver is None:
            address = free_address()
            process = Process.python("bench.stacks.receiver", address, log=self.folder / "receiver.log")
            process.wait_for(address)
            self._receiver = address, process
        return self._receiver[0]

    @property
    def receiver_pid(self) -> int:
        """The process of the trace receiver."""
        assert self._receiver is not None
        return self._receiver[1].pid

    @property
    def otlp(self) -> str:
        """Its URL."""
        return f"http://{self.receiver}"

    def peer(self, kind: str, name: str = "") -> peers.Peer:
        """One of `peers.KINDS`, with a fresh PostgreSQL of its own; another of the same kind under another name."""
        name = name or kind
        if name not in self._peers:
            self.say(f"starting {name}")
            server = Postgres(self.folder / name)
            terms = peers.Terms(otlp=self.otlp, ratio=self.ratio)
            try:
                peer = peers.start(kind, server.create("peer"), server.pid, terms, self.folder / name)
            except BaseException:
                server.stop()
                raise
            self._peers[name] = peer, server
        return self._peers[name][0]

    def proxied_peer(self, kind: str) -> peers.Peer:
        """The peer as it is, reached through a plain Envoy: the hops that Weft has."""
        peer = self.peer(kind)
        if kind not in self._proxied:
            address, process = proxy.start(peer.targets[0], self.folder / f"proxy-{kind}")
            groups = {**peer.groups, "envoy": [self.adopt(process).pid]}
            self._proxied[kind] = replace(peer, targets=[address], groups=groups)
        return self._proxied[kind]

    @property
    def weft(self) -> Weft:
        """The mesh with one replica of each service and no background work."""
        if self._weft is None:
            self._weft = self.mesh("weft")
        else:
            self._weft.renew()
        return self._weft

    def mesh(self, name: str, **options: Any) -> Weft:
        """A mesh of its own, filled with the data set; who asks for it stops it."""
        self.say(f"starting {name}")
        began, seconds = meshes.start(self.folder / name, otlp=self.otlp, ratio=self.ratio, **options)
        self.say(f"{name} ready in {seconds:.1f} s")
        try:
            began.fill()
        except BaseException:
            began.stop()
            raise
        return began

    def serve(self, *arguments: str, env: dict[str, str] | None = None) -> tuple[str, Process]:
        """A small server, `python -m module kind address`: its address and process; ends with the bench."""
        address = free_address()
        log = self.folder / f"server-{address.rpartition(':')[2]}.log"
        process = Process.python(*arguments, address, log=log, env=env)
        self._others.append(process)
        process.wait_for(address)
        return address, process

    def adopt(self, process: Process) -> Process:
        """Ends a process with the bench."""
        self._others.append(process)
        return process

    def plan(self, transport: str, targets: list[str], source: str, arguments: dict[str, Any], **more: Any) -> Plan:
        """A plan of this run's length."""
        more = {"seconds": self.length.seconds, "warm_up": self.length.warm_up, **more}
        module = "callers" if transport == "client" else "requests"
        return Plan(transport, targets, f"bench.load.{module}:{source}", arguments, **more)

    def compare(self, row: Row, sides: Sequence[Side], rounds: int | None = None) -> Row:
        """Fills the row: settles each side that has not had such load yet, then measures them one after another."""
        for side in sides:
            known = (side.plan.source, *side.plan.targets)
            if known not in self._settled:
                self._settled.add(known)
                self.settle(side.plan, side.groups)
        row.samples = alternate(sides, rounds or self.length.rounds, lambda line: self.say(f"  {line}"))
        return row

    def settle(self, plan: Plan, groups: Groups, seconds: float = 0.0) -> None:
        """Load that is not counted: caches fill, pools open, statements are prepared; `seconds` where that takes longer."""
        lasting = {**plan.as_dict(), "seconds": max(seconds, self.length.settle), "rate": 0.0}
        run(Plan(**lasting), groups)

    def close(self) -> None:
        """Ends everything that was started and removes its data."""
        began = time.monotonic()
        for process in self._others:
            process.stop()
        for peer, server in self._peers.values():
            peer.stop()
            server.stop()
        if self._weft is not None:
            self._weft.stop()
        if self._receiver is not None:
            self._receiver[1].stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.say(f"everything stopped ({time.monotonic() - began:.1f} s)")
