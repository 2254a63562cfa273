"""Orders placed as fast as they are taken, or at a rate, until everything that they set off is done."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from bench.load.plan import Plan
from bench.measurements import accounts, measure
from bench.measurements.accounts import Groups

DRAIN_S = 120.0
# Of peer (e): events that wait, payments that are not at their end, mails that are not sent or not yet written.
_PEER_WAITS = """
SELECT (SELECT count(*) FROM outbox)
     + (SELECT count(*) FROM payments WHERE state IN ('PAYMENT_STATE_PENDING', 'PAYMENT_STATE_AUTHORIZED'))
     + (SELECT abs((SELECT count(*) FROM payments) - count(*)) FROM deliveries WHERE state = 'SENT')
     + (SELECT abs(2 * (SELECT count(*) FROM payments) - count(*)) FROM notices)
"""


@dataclass(frozen=True)
class Completed:
    """CPU seconds by process, completed orders, seconds until all was drained, and orders taken a second while they were placed."""

    spent: dict[str, float]
    orders: int
    seconds: float
    rate: float

    @property
    def by_process(self) -> dict[str, float]:
        """Microseconds of CPU of an order."""
        return {name: value / self.orders * 1e6 for name, value in self.spent.items()}

    def described(self) -> str:
        """For the terminal."""
        parts = sorted(self.by_process.items(), key=lambda one: -one[1])
        return f"{self.orders} orders in {self.seconds:.1f} s: {sum(self.by_process.values()):,.0f} µs each (" + (
            ", ".join(f"{name} {value:,.0f}" for name, value in parts) + ")"
        )


def place(plan: Plan, groups: Groups, database: str, drain: Callable[[], None]) -> Completed:
    """Places orders, and waits until `drain` returns. `database`: the URL of the one that has the table `orders`."""
    began, before, count = time.monotonic(), accounts.cpu(groups), _count(database)
    sample = measure.run(plan, groups)
    drain()
    seconds = time.monotonic() - began
    return Completed(
        accounts.spent(before, accounts.cpu(groups)), _count(database) - count, seconds, sample.outcome.rate
    )


def drain_peer(database: str) -> None:
    """Waits until peer (e) has nothing left to do."""
    end = time.monotonic() + DRAIN_S
    with psycopg.connect(database, autocommit=True) as connection:
        while connection.execute(_PEER_WAITS).fetchone() != (0,):
            assert time.monotonic() < end, "the peer is not done"
            time.sleep(0.1)


def _count(database: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT count(*) FROM orders").fetchone()
    assert row
    return int(row[0])
