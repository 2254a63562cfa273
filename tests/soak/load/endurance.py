"""What a mesh looks like from outside, read again and again while it is under load."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import psycopg

from bench.measurements import accounts
from bench.measurements.measure import Sample
from bench.stacks.weft import Weft

SERVICES = ("order", "notification", "user")
_TABLES = """
SELECT c.relname, c.oid::regclass::text, s.n_live_tup, s.n_dead_tup, pg_total_relation_size(c.oid), s.autovacuum_count + s.vacuum_count
  FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
"""
_QUEUES = """
SELECT table_name FROM information_schema.columns WHERE column_name IN ('due', 'leased_until', 'attempts', 'state')
GROUP BY table_name HAVING count(*) = 4
"""


@dataclass(frozen=True)
class Table:
    """Of one table: rows as the statistics have them, bytes with indexes, and how often it was vacuumed."""

    live: int
    dead: int
    size: int
    vacuums: int


@dataclass(frozen=True)
class Reading:
    """At one moment, after `sample`'s load: MiB by group of processes, tables by `service.name`, and jobs that are due."""

    sample: Sample
    memory: dict[str, float]
    tables: dict[str, Table]
    backlog: int
    orders: int

    def line(self) -> str:
        """For the terminal."""
        latency, dead = self.sample.outcome.latency, max(self.tables.items(), key=lambda one: one[1].dead)
        held = " ".join(f"{name} {mib:.0f}" for name, mib in self.memory.items())
        return (
            f"{self.sample.outcome.rate:.0f}/s p50 {latency['p50']:.1f} p99 {latency['p99']:.0f} ms, {self.sample.total():,.0f} µs; "
            f"{self.orders:,} orders, {self.backlog} due; MiB {held}; most dead rows: {dead[0]} {dead[1].dead:,} of {dead[1].live:,}"
        )


def read(mesh: Weft, sample: Sample) -> Reading:
    """Looks now."""
    tables: dict[str, Table] = {}
    backlog = orders = 0
    for service in SERVICES:
        with psycopg.connect(mesh.database(service), autocommit=True) as connection:
            for name, _, *numbers in connection.execute(_TABLES):
                tables[f"{service}.{name}"] = Table(*numbers)
            for (queue,) in connection.execute(_QUEUES).fetchall():
                due = f"SELECT count(*) FROM {queue} WHERE state = 'ready' AND due <= now() - interval '2 seconds'"
                backlog += (connection.execute(due.encode()).fetchone() or (0,))[0]
            if service == "order":
                orders = (connection.execute("SELECT count(*) FROM orders").fetchone() or (0,))[0]
    memory = {name: accounts.memory(roots) for name, roots in mesh.groups.items()}
    return Reading(sample, memory, tables, backlog, orders)


def thirds(readings: Sequence[Reading]) -> tuple[Sequence[Reading], Sequence[Reading]]:
    """The first and the last third."""
    third = max(1, len(readings) // 3)
    return readings[:third], readings[-third:]


def ratio(readings: Sequence[Reading], of: str) -> float:
    """The last third over the first, medians, of `cpu` or of a percentile of the latency."""
    first, last = (
        median(one.sample.total() if of == "cpu" else one.sample.outcome.latency[of] for one in third)
        for third in thirds(readings)
    )
    return last / first


def drained(mesh: Weft, sample: Sample, seconds: float) -> Reading:
    """The first reading at which nothing is due, or the one after so many seconds."""
    end = time.monotonic() + seconds
    while (now := read(mesh, sample)).backlog and time.monotonic() < end:
        time.sleep(1)
    return now
