"""Half an hour at 70 % of what the mesh sustains: latency, CPU, memory and tables stay as they are, and autovacuum keeps up.

`ENDURANCE_MINUTES=5` makes it shorter; `ENDURANCE_SHARE=0.3` goes easier on a machine that does other things.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import pytest

from bench.bench import FULL, Bench
from bench.load.plan import Plan
from bench.measurements import measure
from bench.stacks.weft import Weft
from bench.workloads.orders import reading_and_ordering
from bench.workloads.whole import drain
from tests.soak.load import endurance
from tests.soak.load.endurance import Reading, Table

pytestmark = pytest.mark.soak
MINUTES = float(os.environ.get("ENDURANCE_MINUTES", "30"))
SHARE = float(os.environ.get("ENDURANCE_SHARE", "0.7"))
SEGMENT_S = min(60.0, MINUTES * 60 / 15)
MEASURED_S = 20.0
"""For the capacity, placing and draining apart."""
MAX_RATIOS = {"cpu": 1.2, "p50": 1.3, "p99": 2.0}
"""The last third over the first. On a machine that others use, the time says less than the CPU."""
MAX_DEAD = 0.5
"""Dead rows for each live one, in tables that have some; autovacuum begins at a fifth, every 20 seconds."""
FEW_ROWS = 20_000
EXCESS = 4_000_000
"""Bytes: tables grow by whole pages, and now and then by many."""


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench(FULL, ratio=0.01)
    yield made
    made.close()


@pytest.fixture
def mesh(bench: Bench) -> Iterator[Weft]:
    """A mesh with its workers on."""
    started = bench.mesh("endurance", work=True)
    yield started
    started.stop()


def test_half_an_hour_at_seventy_percent_of_the_capacity_is_flat(bench: Bench, mesh: Weft) -> None:
    plan = reading_and_ordering(bench, "endurance", mesh.edges, mesh).plan
    rate = SHARE * capacity(bench, mesh, plan)
    bench.say(f"{rate:.0f} requests a second, a fifth of them orders, for {MINUTES:g} minutes")
    readings: list[Reading] = []
    end = time.monotonic() + 60 * MINUTES
    while time.monotonic() < end:
        mesh.renew()
        given = {**plan.arguments, "token": mesh.token}
        steady = replace(plan, arguments=given, rate=rate, seconds=SEGMENT_S, warm_up=2.0, concurrency=128)
        sample = measure.run(steady, mesh.groups)
        readings.append(endurance.read(mesh, sample))
        bench.say(readings[-1].line())
        assert not sample.errors, sample.errors
    last = endurance.drained(mesh, readings[-1].sample, 30)
    judge(bench, readings, last)


def capacity(bench: Bench, mesh: Weft, plan: Plan) -> float:
    """Requests a second, everything that their orders set off included."""
    bench.settle(plan, mesh.groups, 10)
    drain(mesh)
    began = time.monotonic()
    loaded = replace(plan, seconds=MEASURED_S, warm_up=0.0, concurrency=32)
    sample = measure.run(loaded, mesh.groups)
    drain(mesh)
    sustained = sample.outcome.done / (time.monotonic() - began)
    bench.say(f"capacity: {sample.outcome.rate:.0f} requests/s are taken, {sustained:.0f}/s with all that they set off")
    return sustained


def judge(bench: Bench, readings: Sequence[Reading], last: Reading) -> None:
    """Says how the last third compares with the first, and what is not flat."""
    ratios = {of: endurance.ratio(readings, of) for of in MAX_RATIOS}
    bench.say("last third over first: " + ", ".join(f"{of} {value:.2f}" for of, value in ratios.items()))
    found = [f"{of}: {value:.2f}" for of, value in ratios.items() if value > MAX_RATIOS[of]]
    early, late = endurance.thirds(readings)
    for name in last.memory:
        before, after = (max(one.memory[name] for one in third) for third in (early, late))
        bench.say(f"{name}: {before:.0f} MiB in the first third, {after:.0f} in the last")
        if after > 1.1 * before + 16:
            found.append(f"memory of {name}: {before:.0f} to {after:.0f} MiB")
    for name, table in sorted(last.tables.items(), key=lambda one: -one[1].size):
        said = grown(name, table, early, late)
        if table.size > EXCESS:
            bench.say(said.line)
        if said.excess > EXCESS:
            found.append(f"size of {said.line}")
        worst = max(late, key=lambda one: one.tables[name].dead).tables[name]
        if worst.dead > FEW_ROWS and worst.dead > MAX_DEAD * worst.live:
            found.append(f"dead rows of {name}: {worst.dead:,} beside {worst.live:,}")
    most = max(one.backlog for one in late)
    if last.backlog or most > 2 * max(one.backlog for one in early) + 200:
        found.append(f"backlog: {last.backlog} at the end, {most} at most in the last third")
    assert not found, "\n".join(["not flat:", *found])


class Grown(NamedTuple):
    """A table: how it grew, and the bytes of the last third beyond 1.3 times what its orders took in the first."""

    line: str
    excess: float


def grown(name: str, table: Table, early: Sequence[Reading], late: Sequence[Reading]) -> Grown:
    """Of a table as it is at the end."""
    (first, orders), (last, later) = (
        (third[-1].tables[name].size - third[0].tables[name].size, max(1, third[-1].orders - third[0].orders))
        for third in (early, late)
    )
    return Grown(
        f"{name}: {table.live:,} rows, {table.dead:,} dead, {table.size / 1e6:.1f} MB, {table.vacuums} vacuums; "
        f"bytes an order {first / orders:,.0f}, then {last / later:,.0f}",
        last - 1.3 * max(0.0, first / orders) * later,
    )
