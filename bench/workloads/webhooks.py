"""From an order's commit to its webhook, with and without dead endpoints; and how fast a backlog is drained."""

import asyncio
import os
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from typing import Any

import aiohttp
import psycopg

from bench.bench import Bench
from bench.measurements import accounts
from bench.measurements.accounts import Groups
from bench.measurements.rows import Row
from bench.numbers import Spread, percentile
from bench.stacks.weft import Weft
from chassis import ids

RATE = 100
"""Orders a second."""
_ALONE, _DEAD, _ALL_HEALTHY, _ALL_DEAD = "alone", "one that never answers", "five that answer", "five that never answer"
_BESIDE: dict[str, list[str]] = {
    _ALONE: [],
    _DEAD: ["/dead"],
    _ALL_HEALTHY: ["/at/others"] * 5,
    _ALL_DEAD: ["/dead"] * 5,
}
"""What is beside the endpoint that is measured, by the paths of the receiver."""
ENDPOINTS = 16
"""That the backlog is owed to."""
WAIT_S = 20.0
_EVENTS = """
INSERT INTO partner_events (event_id, partner_id, mode, type, subject_id, sequence, user_id, data, occur_time, create_time)
SELECT 'evt_' || %(time)s || lpad(n::text, 16, '0'), %(partner)s, 'LIVE', 'order.placed', 'ord_' || %(time)s || lpad(n::text, 16, '0'), 1,
  '', '{"orderId":"ord_1","total":{"amountMinor":"4200","currency":"EUR"}}', now(), now() FROM generate_series(1, %(count)s) n
"""
_DELIVERIES = """
INSERT INTO webhook_deliveries (delivery_id, endpoint_id, event_id, partner_id, mode, state, due, create_time, update_time)
SELECT 'whd_' || %(time)s || lpad(n::text, 16, '0'), (%(endpoints)s::text[])[n %% %(many)s + 1], 'evt_' || %(time)s || lpad(n::text, 16, '0'),
  %(partner)s, 'LIVE', 'PENDING', now(), now(), now() FROM generate_series(1, %(count)s) n
"""


def webhooks(bench: Bench) -> Iterator[Row]:
    """A mesh with its workers, and a receiver in a process of its own."""
    mesh = bench.mesh("webhooks", work=True)
    try:
        address, receiver = bench.serve("bench.stacks.hooks")
        yield asyncio.run(_delay(bench, mesh, f"http://{address}"))
        yield asyncio.run(_drain(bench, mesh, f"http://{address}", {**mesh.groups, "receiver": [receiver.pid]}))
    finally:
        mesh.stop()


def _session(mesh: Weft) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(headers={"authorization": f"Bearer {mesh.token}"}, raise_for_status=True)


async def _create(http: aiohttp.ClientSession, mesh: Weft, url: str) -> str:
    body = {"url": url, "eventTypes": ["order.placed"]}
    async with http.post(f"{mesh.mesh['edge']}/v1/webhooks", json=body) as reply:
        return str((await reply.json())["endpointId"])


async def _delay(bench: Bench, mesh: Weft, hooks: str) -> Row:
    row = Row(
        "webhooks",
        "From an order's commit to its webhook",
        f"{RATE} orders a second, to an endpoint; beside it, of the same partner, what each line says. New ones in each round: nobody knows yet that they are dead.",
    )
    found: dict[str, list[list[float]]] = {kind: [] for kind in _BESIDE}
    async with _session(mesh) as http:
        await _create(http, mesh, f"{hooks}/at/healthy")
        await _round(http, mesh, hooks, bench.length.settle)
        kinds = list(_BESIDE.items())
        for number in range(bench.length.rounds):
            for kind, paths in kinds[number % len(kinds) :] + kinds[: number % len(kinds)]:
                others = [await _create(http, mesh, f"{hooks}{path}") for path in paths]
                waits = await _round(http, mesh, hooks, max(bench.length.seconds, 5.0))
                found[kind].append(waits)
                bench.say(f"  {kind}: {len(waits)} webhooks, p99 {percentile(waits, 0.99):.0f} ms")
                for endpoint in others:
                    async with http.delete(f"{mesh.mesh['edge']}/v1/webhooks/{endpoint}"):
                        pass
    row.numbers["median, ms"] = Spread.of([percentile(waits, 0.5) for waits in found[_ALONE]])
    row.numbers["p99, ms (aim ≤ 250)"] = Spread.of([percentile(waits, 0.99) for waits in found[_ALONE]])
    of_all = {kind: percentile(sorted(chain(*rounds)), 0.99) for kind, rounds in found.items()}
    for kind in (_DEAD, _ALL_HEALTHY, _ALL_DEAD):
        row.numbers[f"p99 beside {kind}, ms"] = Spread.of([percentile(waits, 0.99) for waits in found[kind]])
    row.numbers[f"p99 of all rounds beside {_DEAD}, over without (aim ≤ 1.1)"] = Spread.of(
        [of_all[_DEAD] / of_all[_ALONE]]
    )
    row.numbers[f"the same beside {_ALL_DEAD}, over {_ALL_HEALTHY} (aim ≤ 1.1)"] = Spread.of(
        [of_all[_ALL_DEAD] / of_all[_ALL_HEALTHY]]
    )
    return row


async def _round(http: aiohttp.ClientSession, mesh: Weft, hooks: str, seconds: float) -> list[float]:
    """Milliseconds of every webhook of a round, ascending. Raises `AssertionError` if one did not come."""
    async with http.delete(f"{hooks}/at/healthy"):
        pass
    began, placing = time.monotonic(), []
    for number in range(round(RATE * seconds)):
        await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
        placing.append(asyncio.create_task(_place(http, mesh, number)))
    placed = dict(await asyncio.gather(*placing))
    end = time.monotonic() + WAIT_S
    arrived: dict[str, float] = {}
    while not placed.keys() <= arrived.keys():
        assert time.monotonic() < end, f"{len(placed.keys() - arrived.keys())} webhooks did not come"
        await asyncio.sleep(0.2)
        async with http.get(f"{hooks}/at/healthy") as reply:
            arrived = await reply.json()
    return sorted((arrived[order_id] - moment) * 1000 for order_id, moment in placed.items())


async def _place(http: aiohttp.ClientSession, mesh: Weft, number: int) -> tuple[str, float]:
    """An order, and the time of its commit in Unix seconds."""
    body = {
        "customerId": mesh.customers[number % len(mesh.customers)],
        "lines": [{"productId": mesh.products[number % len(mesh.products)], "quantity": 1}],
        "paymentMethod": "pm_sandbox_ok",
    }
    headers = {"idempotency-key": os.urandom(16).hex()}
    async with http.post(f"{mesh.mesh['edge']}/v1/orders", json=body, headers=headers) as reply:
        order: dict[str, Any] = await reply.json()
    return order["orderId"], datetime.fromisoformat(order["createTime"]).timestamp()


async def _drain(bench: Bench, mesh: Weft, hooks: str, groups: Groups) -> Row:
    count = 100_000 if bench.length.rounds > 2 else 10_000
    row = Row(
        "webhooks-backlog",
        "A backlog of webhooks is drained",
        f"{count:,} to {ENDPOINTS} endpoints; the receiver shares the cores.",
    )
    async with _session(mesh) as http:
        endpoints = [await _create(http, mesh, f"{hooks}/at/backlog") for _ in range(ENDPOINTS)]
        before, pids = await _count(http, hooks), mesh.groups["notification"]
        await asyncio.to_thread(_owe, mesh, endpoints, count)
        began, sizes = time.monotonic(), [accounts.memory(pids)]
        before_all = accounts.cpu(groups)
        while await _count(http, hooks) - before < count:
            assert time.monotonic() - began < count / 100, "the backlog is not drained"
            await asyncio.sleep(0.5)
            sizes.append(accounts.memory(pids))
        seconds = time.monotonic() - began
        spent = accounts.spent(before_all, accounts.cpu(groups))
    row.numbers["webhooks/s (aim ≥ 2000)"] = Spread.of([count / seconds])
    each = {name: value / count * 1e6 for name, value in spent.items()}
    row.numbers["µs of CPU for each, all processes"] = Spread.of([sum(each.values())])
    for name in ("notification", "postgres", "receiver"):
        row.numbers[f"µs of {name}"] = Spread.of([each[name]])
    row.numbers["MiB at most, over the first second"] = Spread.of([max(sizes) / max(sizes[:3])])
    bench.say(
        f"  {count / seconds:.0f} webhooks/s, {sum(each.values()):.0f} µs of CPU each, {sizes[0]:.0f} to {max(sizes):.0f} MiB"
    )
    return row


async def _count(http: aiohttp.ClientSession, hooks: str) -> int:
    async with http.get(f"{hooks}/count") as reply:
        return int(await reply.text())


def _owe(mesh: Weft, endpoints: list[str], count: int) -> None:
    """Write the backlog, and tell the workers."""
    moment = ids.new("whd").removeprefix("whd_")[:10]
    with psycopg.connect(mesh.database("notification"), autocommit=True) as connection:
        row = connection.execute(
            "SELECT partner_id FROM webhook_endpoints WHERE endpoint_id = %s", [endpoints[0]]
        ).fetchone()
        assert row is not None
        values = {"time": moment, "partner": row[0], "count": count, "endpoints": endpoints, "many": len(endpoints)}
        connection.execute(_EVENTS, values)
        connection.execute(_DELIVERIES, values)
        connection.execute("ANALYZE webhook_deliveries, partner_events")
        connection.execute("UPDATE webhook_lanes SET due = now() WHERE endpoint_id = ANY(%s)", [endpoints])
        connection.execute("NOTIFY webhook_lanes")
