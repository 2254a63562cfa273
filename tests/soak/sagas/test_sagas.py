"""kill -9 of the order service and of PostgreSQL at every step of a saga: every order ends, and the books are Stripe's."""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from chassis.storage import database
from tests.harness import DATA_KEY, ISSUER, Harness
from tests.order import crashing
from tests.order.payments.stripe_fake import KEY, SECRET, StripeFake
from tests.servers import CrashingPostgres, until
from tests.soak.sagas.dying_order import STEPS
from tests.soak.sagas.shoppers import PRICE, Shoppers

pytestmark = pytest.mark.soak
SAGAS = int(os.environ.get("SAGAS", "1000"))
AT_ONCE = 40
ROOT = Path(__file__).parents[3]
STOCK = 1_000_000
PRODUCT = "prd_01k00000000000000000000000"
_PRODUCT = """
INSERT INTO products (product_id, title, price_minor, currency, stock, active, version, created_at, updated_at, partner_id)
VALUES (%s, 'Ink', %s, 'EUR', %s, true, 1, now(), now(), '')
"""
_BOOKS = """
SELECT o.order_id, o.state, o.payment_state, p.payment_id, p.method, p.captured_minor, p.refunded_minor, p.charged_back_minor,
       p.refunding_minor, p.authorized_minor, p.capture_when,
       COALESCE(sum(m.amount_minor) FILTER (WHERE kind = 'CAPTURED'), 0)::bigint AS captured,
       COALESCE(sum(m.amount_minor) FILTER (WHERE kind = 'REFUNDED'), 0)::bigint AS refunded
  FROM orders o JOIN payments p USING (payment_id) LEFT JOIN payment_movements m USING (payment_id)
 GROUP BY o.order_id, p.payment_id
"""
EXPLAINED = {
    "PENDING": {"FAILED", "ACTION_REQUIRED"},
    "CONFIRMED": {"AUTHORIZED", "CAPTURED", "PARTIALLY_REFUNDED", "REFUNDED", "CHARGED_BACK"},
    "CANCELLED": {"VOIDED", "REFUNDED", "FAILED", "CHARGED_BACK"},
    "EXPIRED": {"VOIDED", "REFUNDED", "FAILED", "CHARGED_BACK"},
}


class Service:
    """The order service as a process that dies, and is started again at the same address."""

    def __init__(self, harness: Harness, server: CrashingPostgres, fake: StripeFake, shoppers: Shoppers) -> None:
        self._harness = harness
        self._shoppers = shoppers
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            self._port = int(bound.getsockname()[1])
        certificates = harness.certificates
        self._environment = {
            **os.environ,
            "WEFT_LISTEN": f"127.0.0.1:{self._port}",
            "WEFT_DATABASE_URL": server.url,
            "WEFT_DATABASE_PREFIX": crashing.PREFIX,
            "WEFT_DATA_KEYS": json.dumps({"k1": DATA_KEY}),
            "WEFT_ISSUER": ISSUER,
            "WEFT_INTERNAL_CALLERS": '["internal"]',
            "WEFT_TLS_CERT": str(certificates.certificate("order")),
            "WEFT_TLS_KEY": str(certificates.key("order")),
            "WEFT_TLS_CA": str(certificates.ca),
            "WEFT_STRIPE_KEY": KEY,
            "WEFT_STRIPE_URL": fake.url,
            "WEFT_STRIPE_WEBHOOK_SECRET": SECRET,
        }

    @asynccontextmanager
    async def running(self, dies: str = "") -> AsyncIterator[subprocess.Popen[bytes]]:
        """Serving until it dies, at the latest at the end."""
        environment = {**self._environment, "JWKS": await self._harness.issuer.jwks(), "DIES": dies}
        command = [sys.executable, "-m", "tests.soak.sagas.dying_order"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)  # noqa: ASYNC220 - starting is quick
        try:
            await until(lambda: self._listens(process), "the service to listen", 60)
            self._shoppers.channel = self._harness.channel("order", f"127.0.0.1:{self._port}")
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            channel, self._shoppers.channel = self._shoppers.channel, None
            if channel:
                await channel.close()

    async def _listens(self, process: subprocess.Popen[bytes]) -> bool:
        if process.poll() is not None:
            return True  # dead already: its first step was the one to die at
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
            writer.close()
            return True
        return False


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
    rows(server, _PRODUCT, PRODUCT, PRICE, STOCK)
    deaths: Counter[str] = Counter()
    async with StripeFake().serving() as fake:
        shoppers = Shoppers(harness.issuer, fake, PRODUCT)
        service = Service(harness, server, fake, shoppers)
        fake.chance = 0.08
        delivering = asyncio.create_task(shoppers.deliver_events())
        traffic = asyncio.create_task(buy(server, shoppers))
        steps = random.sample(STEPS, len(STEPS))
        while not traffic.done() or steps:
            step = f"{steps.pop()} {random.randint(1, 5)}" if steps else ""
            async with service.running(step) as process:
                deaths[await end(process, step, server, bool(traffic.done()))] += 1
        await traffic
        fake.chance = 0.0
        async with service.running():
            await until(lambda: quiet(server, shoppers, fake), "everything to end", 300)
        delivering.cancel()
        check(server, shoppers, fake, deaths)


async def buy(server: CrashingPostgres, shoppers: Shoppers) -> None:
    """All the journeys, some at once."""
    left = SAGAS

    def expire(order_id: str) -> None:
        rows(server, "UPDATE orders SET created_at = now() - interval '1 hour' WHERE order_id = %s", order_id)

    async def customer() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await shoppers.journey(expire)

    await asyncio.gather(*(customer() for _ in range(AT_ONCE)))


async def end(process: subprocess.Popen[bytes], step: str, server: CrashingPostgres, over: bool) -> str:
    """Wait until the process dies at its step, or end it, or its database; how it ended."""
    deadline = time.monotonic() + (3.0 if over else random.uniform(3.0, 9.0))
    crashes = random.random() < 0.3
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return step.rpartition(" ")[0] or "by itself"
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
    theirs: dict[str, Counter[str]] = {}
    for intent in fake.intents.values():
        sums = theirs.setdefault(intent["metadata"]["payment_id"], Counter())
        sums["captured"] += intent["amount_received"]
        sums["refunded"] += sum(r["amount"] for r in fake.refunds if r["payment_intent"] == intent["id"])
        sums["charged_back"] += sum(d["amount"] for d in fake.disputes if d["payment_intent"] == intent["id"])
        sums["held"] += intent["status"] == "requires_capture"
    found = rows(server, _BOOKS)
    dead = rows(server, "SELECT kind, error FROM payment_work WHERE state = 'dead'")
    print(f"{len(found)} orders, {len(shoppers.placed)} acknowledged; {sum(deaths.values())} deaths: {dict(deaths)}")
    print(
        f"{len(fake.calls)} calls to Stripe, {fake.faulty} faults; {len(fake.events)} events; refused: {dict(shoppers.seen)}"
    )
    print(f"states: {dict(Counter(f'{r.state}/{r.payment_state}' for r in found))}")
    print(
        f"captured {sum(r.captured for r in found)}, refunded {sum(r.refunded for r in found)} cents; dead jobs: {dead}"
    )
    assert not dead
    assert {r.order_id for r in found} == set(shoppers.placed), "none lost, none made twice"
    for r in found:
        there = theirs.get(r.payment_id, Counter())
        ours = r.captured_minor, r.refunded_minor, r.charged_back_minor
        assert ours == (there["captured"], there["refunded"], there["charged_back"]), r
        assert (r.captured_minor, r.refunded_minor, r.refunding_minor) == (r.captured, r.refunded, 0), r
        assert r.payment_state in EXPLAINED[r.state], r
        assert there["held"] == (r.payment_state == "AUTHORIZED"), r
        if r.state in ("CANCELLED", "EXPIRED"):
            assert r.captured == r.refunded + r.charged_back_minor, r
    sold = sum(r.state in ("PENDING", "CONFIRMED") for r in found)
    (stock,) = rows(server, "SELECT stock FROM products WHERE product_id = %s", PRODUCT)
    assert stock.stock == STOCK - sold
    (events,) = rows(server, "SELECT sum(events) - (SELECT count(*) FROM outbox) FROM orders")
    assert events[0] == 0, "each event is in the outbox once"
