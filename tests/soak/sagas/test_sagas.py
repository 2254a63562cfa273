"""kill -9 of the order service and of PostgreSQL at every step of a saga: every order ends, and the books are Stripe's."""

import asyncio
import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from chassis.storage import database
from tests.harness import Harness
from tests.order import crashing
from tests.order.payments.stripe_fake import KEY, SECRET, StripeFake
from tests.servers import CrashingPostgres, until
from tests.soak.sagas import books
from tests.soak.sagas.dying_order import STEPS
from tests.soak.sagas.service import Service
from tests.soak.sagas.shoppers import PRICES, Shoppers

pytestmark = pytest.mark.soak
SAGAS = int(os.environ.get("SAGAS", "1000"))
AT_ONCE = 40
DIED = "at its step"
_PRODUCT = """
INSERT INTO products (product_id, title, price_minor, currency, stock, active, version, created_at, updated_at, partner_id)
VALUES (%s, 'Ink', %s, 'EUR', %s, true, 1, now(), now(), '')
"""
_CHARGES = """
INSERT INTO charge_tables (version, charges, actor, created_at) VALUES (1, %s, 'test', now())
"""
CHARGES = [["SHIPPING", "AT", "Post", "EUR", 499, None, 0, False], ["TAX", "AT", "VAT", "", 0, None, 77_777, True]]


@pytest.fixture
def server(folder: Path) -> Iterator[CrashingPostgres]:
    """A server that may crash."""
    with crashing.crashing(folder / "sagas") as running:
        yield running


def rows(server: CrashingPostgres, sql: str, *values: Any) -> list[Any]:
    """What a statement returns, as the server's owner."""
    url = database.of_service(server.url, crashing.PREFIX, "order")
    with psycopg.connect(url, autocommit=True, row_factory=namedtuple_row) as connection:
        cursor = connection.execute(sql, values)
        return cursor.fetchall() if cursor.description else []


async def test_a_thousand_sagas_under_kill_9_end_with_books_equal_to_the_cent(
    harness: Harness, server: CrashingPostgres
) -> None:
    rows(server, _CHARGES, json.dumps(CHARGES))
    for product_id, price in PRICES.items():
        rows(server, _PRODUCT, product_id, price, books.STOCK)

    def expire(order_id: str) -> None:
        rows(server, "UPDATE orders SET created_at = now() - interval '1 hour' WHERE order_id = %s", order_id)

    deaths: Counter[str] = Counter()
    async with StripeFake().serving() as fake:
        stripe = {"WEFT_STRIPE_KEY": KEY, "WEFT_STRIPE_URL": fake.url, "WEFT_STRIPE_WEBHOOK_SECRET": SECRET}
        service = Service(harness, server.url, crashing.PREFIX, stripe)
        shoppers = Shoppers(harness.issuer, fake, service, expire)
        fake.chance = 0.08
        delivering = asyncio.create_task(shoppers.deliver_events())
        traffic = asyncio.create_task(buy(shoppers))
        steps = random.sample(STEPS, len(STEPS))
        while not traffic.done():
            step = steps.pop() if steps else ""
            async with service.running(f"{step} {random.randint(1, 5)}" if step else "") as process:
                ended = await end(process, server)
            deaths[step if ended == DIED else ended] += 1
            if step and ended != DIED:
                steps.insert(0, step)  # it was not reached: later again
        await traffic
        fake.chance = 0.0
        async with service.running():
            await until(lambda: quiet(server, shoppers, fake), "everything to end", 300)
        delivering.cancel()
        check(server, shoppers, fake, deaths)


async def buy(shoppers: Shoppers) -> None:
    """All the journeys, some at once."""
    left = SAGAS

    async def customer() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await shoppers.journey()

    await asyncio.gather(*(customer() for _ in range(AT_ONCE)))


async def end(process: subprocess.Popen[bytes], server: CrashingPostgres) -> str:
    """Wait until the process dies at its step, or end it, or its database; how it ended."""
    deadline = time.monotonic() + random.uniform(3.0, 9.0)
    crashes = random.random() < 0.3
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return DIED
        if crashes and time.monotonic() > deadline - 2:
            await asyncio.to_thread(server.crash)
            return "with PostgreSQL"
        await asyncio.sleep(0.02)
    return "at a random moment"


async def quiet(server: CrashingPostgres, shoppers: Shoppers, fake: StripeFake) -> bool:
    """Whether every event was delivered, and no job is left."""
    (left,) = rows(server, "SELECT count(*) FROM payment_work WHERE state = 'ready'")
    (late,) = rows(
        server, "SELECT count(*) FROM orders WHERE state = 'PENDING' AND created_at < now() - interval '30 minutes'"
    )
    await asyncio.sleep(0.5)
    return shoppers.delivered == len(fake.events) and left[0] == late[0] == 0


def check(server: CrashingPostgres, shoppers: Shoppers, fake: StripeFake, deaths: Counter[str]) -> None:
    """The promises; the counts are printed first."""
    found = rows(server, books.BOOKS)
    dead = rows(server, "SELECT kind, error FROM payment_work WHERE state = 'dead'")
    print(books.report(found, shoppers, fake, deaths))
    missed = [step for step in STEPS if not deaths[step]]
    print(f"dead jobs: {dead}; steps at which no process died: {missed}")
    assert not dead
    stock = {row.product_id: row.stock for row in rows(server, "SELECT product_id, stock FROM products")}
    books.check(found, shoppers, fake, stock)
    (events,) = rows(server, "SELECT sum(events) - (SELECT count(*) FROM outbox) FROM orders")
    assert events[0] == 0, "each event is in the outbox once"
    assert SAGAS < 1000 or not missed, "a process died at every step"
