"""kill -9 of the order service around the call that collects, and around its write: each order is paid once, or keeps nothing."""

import asyncio
import random
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row
from weft.order.v1 import order_pb2, order_service_pb2

from chassis.storage import database
from tests.harness import Harness
from tests.order import crashing
from tests.servers import CrashingPostgres, until
from tests.soak.sagas.persistent import Persistent
from tests.soak.sagas.service import Service

pytestmark = pytest.mark.soak
INK = "prd_01k00000000000000000000000"
STOCK = 100_000
STEPS = [
    f"{when} {name}"
    for name in ("mark_contacted", "authorize", "update", "capture", "reverse", "finish")
    for when in ("before", "after")
] * 2
METHODS = ["pm_sandbox_ok"] * 4 + ["pm_sandbox_capture_fails_once"]
_KEEPS_NOTHING = (("VOIDED", None), ("VOIDED", "VOIDED"), ("REFUNDED", "REFUNDED"))
_PRODUCT = """
INSERT INTO products (product_id, title, price_minor, currency, stock, active, version, created_at, updated_at, partner_id)
VALUES (%s, 'Ink', 999, 'EUR', %s, true, 1, now(), now(), '')
"""
_BOOKS = """
SELECT o.order_id, o.state, o.payment_state, o.version, o.events, p.captured_minor, p.refunded_minor, p.authorized_minor,
       count(c.key) AS charges, max(c.state) AS charge, sum(c.captured_minor) AS captured, sum(c.refunded_minor) AS refunded,
       (SELECT array_agg(version ORDER BY xid, seq) FROM order_changes h WHERE h.order_id = o.order_id) AS changes,
       (SELECT array_agg(kind ORDER BY movement_id) FROM payment_movements m WHERE m.order_id = o.order_id) AS movements,
       (SELECT count(*) FROM payment_movements m WHERE m.order_id = o.order_id AND kind = 'CAPTURED') AS collected
  FROM orders o JOIN payments p USING (order_id) LEFT JOIN sandbox_charges c ON split_part(c.key, '/', 1) = p.payment_id
 GROUP BY o.order_id, p.payment_id
"""


@pytest.fixture
def connection(server: CrashingPostgres) -> Iterator[psycopg.Connection]:
    """To the service's database, as its owner."""
    url = database.of_service(server.url, crashing.PREFIX, "order")
    with psycopg.connect(url, autocommit=True, row_factory=namedtuple_row) as opened:
        yield opened


@pytest.fixture
def server(folder: Path) -> Iterator[CrashingPostgres]:
    """With the service's database."""
    with crashing.crashing(folder / "collected") as running:
        yield running


async def test_what_is_collected_with_the_first_call_is_paid_once_under_kill_9(
    harness: Harness, server: CrashingPostgres, connection: psycopg.Connection
) -> None:
    connection.execute(_PRODUCT, (INK, STOCK))
    service = Service(harness, server.url, crashing.PREFIX, {"WEFT_SANDBOX_FOR_LIVE": "true"})
    calls = Persistent(harness.issuer, service)
    placed: list[str] = []

    async def shop() -> None:
        request = order_service_pb2.CreateOrderRequest(
            lines=[order_pb2.OrderLineInput(product_id=INK, quantity=1)], payment_method=random.choice(METHODS)
        )
        order = await calls.buyer("CreateOrder", request)
        placed.append(order.order_id)
        if random.random() < 0.5:
            await calls.buyer("CancelOrder", order_service_pb2.CancelOrderRequest(order_id=order.order_id))

    async def customers() -> None:
        while True:
            await asyncio.gather(*(shop() for _ in range(5)))

    shopping = asyncio.create_task(customers())
    for step in random.sample(STEPS, len(STEPS)):
        async with service.running(f"{step} {random.randint(1, 20)}") as process:
            await until(partial(_is_dead, process), f"the process to die {step}", 120)
            assert not shopping.done(), shopping.exception()
    shopping.cancel()
    async with service.running():
        await until(partial(_is_done, connection), "everything to end", 300)
    _check(connection.execute(_BOOKS).fetchall(), placed)


async def _is_dead(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None


async def _is_done(connection: psycopg.Connection) -> bool:
    return not connection.execute("SELECT FROM payment_work WHERE state = 'ready'").fetchall()


def _check(found: Sequence[Any], placed: Sequence[str]) -> None:
    print(f"{len(found)} orders: {dict(Counter((r.state, r.payment_state) for r in found))}")
    assert placed
    assert set(placed) <= {r.order_id for r in found}, "none lost"
    for r in found:
        assert r.changes == [*range(1, r.version + 1)], ("each change is in the feed once, in its order", r)
        ours, theirs = (r.captured_minor, r.refunded_minor), (r.captured or 0, r.refunded or 0)
        assert ours == theirs, ("the books are the provider's", r)
        assert max(r.collected, r.charges) <= 1, ("the money moves once", r)
        if r.state == "CANCELLED":
            assert (r.payment_state, r.charge) in _KEEPS_NOTHING, r
            assert r.captured_minor == r.refunded_minor, r
        else:
            assert (r.state, r.payment_state, r.captured_minor) == ("CONFIRMED", "CAPTURED", 999), r
            assert (r.charge, r.movements, r.events) == ("CAPTURED", ["AUTHORIZED", "CAPTURED"], 3), r
