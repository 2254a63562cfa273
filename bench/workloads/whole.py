"""The whole order: from CreateOrder to the last notice and mail, with every process counted."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg

from bench.bench import Bench
from bench.measurements import completed, measure
from bench.measurements.accounts import Groups
from bench.measurements.rows import Row
from bench.numbers import Spread
from bench.stacks import background
from bench.stacks.weft import Weft
from bench.workloads.orders import A, creating

COMPLETED, CPU = "completed orders/s", "µs of CPU of a completed order"
BACKLOG, SMALL_BACKLOG = 20_000, 2_000
"""Orders that wait when CreateOrder is measured beside workers that catch up; fewer in a quick run."""
RATE = 20.0
"""Orders a second while the delays are measured: far below what is sustained."""
_QUEUES = """
SELECT table_name FROM information_schema.columns WHERE column_name IN ('due', 'leased_until', 'attempts', 'state')
GROUP BY table_name HAVING count(*) = 4
"""
_PAUSE = """
INSERT INTO paused_queues (queue, reason, paused_at) VALUES ('payment_work', 'bench', now()), ('outbox', 'bench', now())
ON CONFLICT DO NOTHING
"""
_RESUME = "DELETE FROM paused_queues; NOTIFY payment_work; NOTIFY outbox"
_CONFIRMED = """
SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM c.changed_at - o.created_at) * 1000)
FROM orders o JOIN order_changes c USING (order_id) WHERE c.state = 'CONFIRMED' AND o.created_at >= %s
"""


def whole(bench: Bench) -> Iterator[Row]:
    """Orders as fast as the edge takes them, then until every queue is empty; beside the call alone, and beside peer (e)."""
    row = Row(
        "whole",
        "The whole order, until the last notice and mail",
        "CPU of every process, trace receiver and mail sink included. The call alone: workers off.",
    )
    beside = Row(
        "whole-peer",
        "The whole order, beside peer (e)",
        "Peer (a), and behind it a polled outbox, taskiq on Valkey, aiosmtplib: payment, events, notices and mail.",
    )
    alone, mesh = bench.weft, bench.mesh("whole", work=True)
    try:
        groups = {**mesh.groups, "mail sink": [mesh.mesh["pids"]["mail"]], **_receiver(bench)}
        bench.settle(creating(bench, "weft", alone.edges, alone).plan, groups)
        _load(bench, mesh, groups)
        with _peer(bench) as load_peer:
            load_peer()
            found, peers = [], []
            for _ in range(bench.length.few):
                found.append(_round(bench, alone, mesh, groups))
                peers.append(_beside(found[-1], load_peer()))
        _fill(row, found)
        _fill(beside, peers)
        for name, delay in zip(("median", "p99"), _delays(bench, mesh), strict=True):
            row.numbers[f"commit to CONFIRMED at {RATE:.0f}/s, {name}, ms"] = Spread.of([delay])
    finally:
        mesh.stop()
    yield row
    yield beside


def _fill(row: Row, found: Sequence[dict[str, float]]) -> None:
    for name in found[0]:
        row.numbers[name] = Spread.of([one[name] for one in found])


@contextmanager
def _peer(bench: Bench) -> Iterator[Callable[[], completed.Completed]]:
    """What places orders at peer (e) until all of them are done."""
    peer = bench.peer(A, "peer-e")
    url = peer.env["PEER_DATABASE_URL"].replace("+asyncpg", "", 1)
    running = background.start(peer.env, bench.folder / "background")
    try:
        groups = {**peer.groups, **running.pids, **_receiver(bench)}

        def load() -> completed.Completed:
            plan = creating(bench, "peer (e)", peer.targets, peer).plan
            done = completed.place(plan, groups, url, lambda: completed.drain_peer(url))
            bench.say(f"  peer (e): {done.described()}")
            return done

        yield load
    finally:
        running.stop()


def _beside(weft: dict[str, float], peer: completed.Completed) -> dict[str, float]:
    """The numbers of a round of peer (e), and Weft's over them."""
    rate, cpu = peer.orders / peer.seconds, sum(peer.by_process.values())
    return {
        "completed orders/s, Weft over peer (e) (aim ≥ 5)": weft[COMPLETED] / rate,
        "CPU of a completed order, peer (e) over Weft": cpu / weft[CPU],
        f"peer (e): {COMPLETED}": rate,
        f"peer (e): {CPU}": cpu,
        "peer (e): orders taken/s while they are placed": peer.rate,
        **{f"peer (e): µs of {name}": value for name, value in peer.by_process.items()},
    }


def backlog(bench: Bench) -> Iterator[Row]:
    """CreateOrder while workers catch up with a backlog, over the same while they are paused."""
    row = Row(
        "backlog",
        "CreateOrder while a backlog of orders drains",
        "Over the same mesh with the order service's queues paused.",
    )
    size, mesh = BACKLOG if bench.length.rounds > 2 else SMALL_BACKLOG, bench.mesh("backlog", work=True)
    found: list[dict[str, float]] = []
    try:
        side = creating(bench, "backlog", mesh.edges, mesh)
        with psycopg.connect(mesh.database("order"), autocommit=True) as order:
            order.execute(_PAUSE)
            while _waiting(order) < size:
                bench.settle(side.plan, side.groups)
            for _ in range(bench.length.few):
                alone = measure.run(side.plan, side.groups)
                order.execute(_RESUME)
                before, began = _waiting(order), time.monotonic()
                beside = measure.run(side.plan, side.groups)
                left, seconds = _waiting(order), time.monotonic() - began
                order.execute(_PAUSE)
                placed = beside.outcome.rate * bench.length.seconds
                found.append(
                    {
                        "CreateOrder/s while they drain, over alone (aim ≥ 0.6)": beside.outcome.rate
                        / alone.outcome.rate,
                        "settled/s meanwhile": (before + placed - left) / seconds,
                        "orders that waited": before,
                    }
                )
                bench.say(
                    f"  {alone.outcome.rate:.0f} orders/s alone, {beside.outcome.rate:.0f} beside {before:.0f} that wait; {left:.0f} left"
                )
    finally:
        mesh.stop()
    for name in found[0]:
        row.numbers[name] = Spread.of([one[name] for one in found])
    yield row


def _waiting(order: psycopg.Connection[tuple[Any, ...]]) -> float:
    """Orders whose payment has yet to be worked on."""
    row = order.execute("SELECT count(*) FROM payment_work WHERE state = 'ready'").fetchone()
    assert row
    return float(row[0])


def _receiver(bench: Bench) -> Groups:
    assert bench.receiver
    return {"trace receiver": [bench.receiver_pid]}


def _round(bench: Bench, alone: Weft, mesh: Weft, groups: Groups) -> dict[str, float]:
    """The numbers of a round, by name."""
    side = creating(bench, "alone", alone.edges, alone)
    call = measure.run(side.plan, {**side.groups, **_receiver(bench)})
    done = _load(bench, mesh, groups)
    by_process, total = done.by_process, sum(done.by_process.values())
    bench.say(f"  {done.described()}; the call alone {call.total():,.0f} µs")
    return {
        COMPLETED: done.orders / done.seconds,
        CPU: total,
        "CPU over its call alone (aim ≤ 2.5)": total / call.total(),
        "notification's over the order process's for the call (aim ≤ 1.5)": by_process["notification"]
        / call.cpu["order"],
        "CreateOrder/s while workers catch up, over alone (aim ≥ 0.6)": done.rate / call.outcome.rate,
        "% of CPU in mail sink and trace receiver (aim ≤ 5)": 100
        * (by_process["mail sink"] + by_process["trace receiver"])
        / total,
        **{f"µs of {name}": value for name, value in by_process.items()},
    }


def _load(bench: Bench, mesh: Weft, groups: Groups, rate: float = 0.0) -> completed.Completed:
    plan = creating(bench, "whole", mesh.edges, mesh, rate=rate).plan
    return completed.place(plan, groups, mesh.database("order"), lambda: drain(mesh))


def _delays(bench: Bench, mesh: Weft) -> list[float]:
    """Milliseconds, median and p99, from an order's commit to its being CONFIRMED."""
    with psycopg.connect(mesh.database("order")) as connection:
        since = connection.execute("SELECT now()").fetchone()
    assert since
    _load(bench, mesh, mesh.groups, rate=RATE)
    with psycopg.connect(mesh.database("order")) as connection:
        row = connection.execute(_CONFIRMED, since).fetchone()
    assert row
    return list(row[0])


def drain(mesh: Weft) -> None:
    """Wait until no queue of any service has work that is due."""
    services: tuple[LiteralString, ...] = ("order", "notification", "user")
    connections = [psycopg.connect(mesh.database(service), autocommit=True) for service in services]
    try:
        waiting = []
        for connection in connections:
            queues = [row[0] for row in connection.execute(_QUEUES)]
            due = " UNION ALL ".join(f"SELECT FROM {name} WHERE state = 'ready' AND due <= now()" for name in queues)
            waiting.append((connection, f"SELECT count(*) FROM ({due}) q"))
        end, idle = time.monotonic() + completed.DRAIN_S, 0
        while idle < 3:  # what one queue hands to the next is in neither for a moment
            assert time.monotonic() < end, "the queues are not drained"
            left = [connection.execute(sql).fetchone() for connection, sql in waiting]
            idle = 0 if any(row and row[0] for row in left) else idle + 1
            time.sleep(0.1)
    finally:
        for connection in connections:
            connection.close()
