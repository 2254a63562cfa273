"""Rows that another transaction has locked, and a database that does not respond: which calls wait, and which do not."""

import asyncio
import re
from contextlib import asynccontextmanager
from datetime import timedelta

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from weft.order.v1 import order_pb2, order_service_pb2, product_service_pb2
from weft.order.v1.money_pb2 import Money
from weft.order.v1.shipping_address_pb2 import ShippingAddress

import contract
from chassis.clock import FixedClock
from chassis.rpc.builtin import health
from chassis.storage import connections
from chassis.storage.connections import Connection
from contract.sensitive import Sensitive
from services.order.orders.expiry import Expiry
from tests import proxy, servers
from tests.harness import Harness, assert_refusal, assert_refused
from tests.order.orders.calls import all_of, locked, outcome
from tests.order.payments.till import MAX_PENDING_TIME
from tests.order.shop import LINE, Shop, metadata
from tests.order.users import Users

PENDING, CONFIRMED, EXPIRED = (
    order_pb2.ORDER_STATE_PENDING,
    order_pb2.ORDER_STATE_CONFIRMED,
    order_pb2.ORDER_STATE_EXPIRED,
)
CAPTURED = order_pb2.PAYMENT_STATE_CAPTURED


async def test_a_locked_product_delays_only_its_own_orders(quiet_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.storage.contention.MAX_LOCK_WAIT_S", 1.0)
    ink, paper = await quiet_shop.product(), await quiet_shop.product()
    before = await quiet_shop.order((ink, 1), (paper, 1))
    async with locked(quiet_shop, "products", "product_id", ink):
        waiting = asyncio.gather(*(outcome(quiet_shop.order((ink, 1), (paper, 1))) for _ in range(8)))
        for _ in range(3):
            reads = [quiet_shop.get(before.order_id) for _ in range(8)]
            placed, failed = await all_of([*(quiet_shop.order((paper, 1)) for _ in range(8)), *reads])
            assert (len(placed), failed) == (16, [])
        for refused in await waiting:  # the row was not unlocked in time
            assert assert_refusal(refused, "RESOURCE_BUSY").retry_after == 1.0
    await quiet_shop.order((ink, 1), (paper, 1))
    assert [await quiet_shop.stock(ink), await quiet_shop.stock(paper)] == [98, 74]


async def test_orders_that_wait_for_a_row_continue_when_it_is_unlocked(
    quiet_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.storage.contention.MAX_LOCK_WAIT_S", 60.0)  # however slow the machine
    ink = await quiet_shop.product()
    database = quiet_shop.app.database
    async with locked(quiet_shop, "products", "product_id", ink):
        waiting = asyncio.gather(*(outcome(quiet_shop.order((ink, 1))) for _ in range(6)))
        looking = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%SKIP LOCKED%%' AND datname = current_database() AND pid <> pg_backend_pid()"
        await servers.until(lambda: quiet_shop.count(looking), "a query for the locks")
    placed = await waiting
    assert len({order.order_id for order in placed}) == 6
    assert await quiet_shop.stock(ink) == 94
    assert database.measure().waiting == 0


async def test_writers_that_wait_leave_connections_to_readers(quiet_shop: Shop) -> None:
    ink = await quiet_shop.product()
    placed = await quiet_shop.order((ink, 1))
    async with locked(quiet_shop, "products", "product_id", ink):
        request = product_service_pb2.AdjustStockRequest(product_id=ink, delta=1, reason="found")
        writers = asyncio.gather(
            *(
                outcome(quiet_shop.products.AdjustStock(request, metadata=metadata(quiet_shop.operator, f"k{n}")))
                for n in range(12)
            )
        )
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        await servers.until(lambda: quiet_shop.count(waiting), "a writer that waits")
        for _ in range(5):
            found, failed = await all_of([quiet_shop.get(placed.order_id) for _ in range(8)])
            assert (len(found), failed) == (8, [])
    assert {getattr(result, "reason", "") for result in await writers} <= {
        "",
        "RESOURCE_BUSY",
        "SERVICE_UNAVAILABLE",
        "DEADLINE_EXPIRED",
    }


async def test_a_locked_payment_delays_no_other(harness: Harness, users: Users) -> None:
    """Whether its own row is locked or that of its order."""
    prefix = harness.service_database("order")
    peers = {"user": [users.address]}
    async with harness.running("order", prefix=prefix, peers=peers, work=False) as quiet:
        shop = Shop(quiet, harness.issuer)
        ink = await shop.product()
        held = {row: (await shop.order((ink, 1))).order_id for row in ("payments", "orders")}
        others = [await shop.order((ink, 1)) for _ in range(11)]
        async with (
            locked(shop, "payments", "order_id", held["payments"]),
            locked(shop, "orders", "order_id", held["orders"]),
            harness.running("order", prefix=prefix, peers=peers),
        ):
            for order in others:
                await shop.reaches(order.order_id, CONFIRMED, CAPTURED)
            assert {row: (await shop.get(order_id)).state for row, order_id in held.items()} == dict.fromkeys(
                held, PENDING
            )
        async with harness.running("order", prefix=prefix, peers=peers):
            for order_id in held.values():
                await shop.reaches(order_id, CONFIRMED, CAPTURED)


async def test_a_locked_order_does_not_delay_the_expiry_of_others(
    harness: Harness, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.storage.contention.MAX_LOCK_WAIT_S", 0.5)
    async with harness.running("order", clock=clock, work=False) as running:
        shop = Shop(running, harness.issuer)
        ink = await shop.product()
        orders = [await shop.order((ink, 1)) for _ in range(4)]
        clock.advance(MAX_PENDING_TIME + timedelta(seconds=1))
        expiry = Expiry(shop.repository, clock, MAX_PENDING_TIME)
        async with locked(shop, "orders", "order_id", orders[0].order_id):
            assert await expiry.run() == 3
            assert (await shop.get(orders[0].order_id)).state == PENDING
        assert await expiry.run() == 1
        assert [(await shop.get(order.order_id)).state for order in orders] == [EXPIRED] * 4


async def test_only_a_lock_on_the_key_itself_means_that_the_key_is_in_use(
    quiet_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.storage.contention.MAX_LOCK_WAIT_S", 0.3)
    ink = await quiet_shop.product()
    placed = [(await quiet_shop.order((ink, 1))).order_id for _ in range(2)]
    replies = quiet_shop.app.replies
    assert replies is not None
    request = order_service_pb2.CreateOrderRequest(
        lines=[LINE(product_id=ink, quantity=1)], payment_method="pm_sandbox_ok"
    )
    method = "/weft.order.v1.OrderService/CreateOrder"
    key = replies.key(quiet_shop.user_id, method, "mine", request, Sensitive(contract.load(), "weft.order.v1.Order"))
    async with await psycopg.AsyncConnection.connect(quiet_shop.app.database_url) as other:
        await other.execute("INSERT INTO idempotency VALUES (%s, '', '', now())", [key.id])
        found = await assert_refused(quiet_shop.order((ink, 1), key="mine"), "IDEMPOTENCY_KEY_IN_USE")
        await other.rollback()
    assert found.retry_after == 1.0
    async with locked(quiet_shop, "orders", "order_id", placed[0]), locked(quiet_shop, "orders", "order_id", placed[1]):
        keyless, keyed = quiet_shop.cancel(placed[0], key=""), quiet_shop.cancel(placed[1], key="another")
        refused = [assert_refused(call, "RESOURCE_BUSY") for call in (keyless, keyed)]  # each after three seconds
        assert [found.retry_after for found in await asyncio.gather(*refused)] == [1.0, 1.0]


@asynccontextmanager
async def behind_a_proxy(harness: Harness):
    """The order service, and the proxy through which it reaches its database."""
    place = conninfo_to_dict(harness.postgres_url)
    async with proxy.serving(str(place["host"]), int(place["port"])) as between:
        url = make_conninfo(harness.postgres_url, host="127.0.0.1", port=between.port)
        async with harness.running("order", work=False, database_url=url) as running:
            yield running, between


async def test_connections_that_do_not_respond_are_replaced(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "RESPONSE_TIMEOUT_S", 1.5)
    monkeypatch.setattr(health, "CHECK_TIMEOUT_S", 0.3)
    async with behind_a_proxy(harness) as (running, between):
        shop = Shop(running, harness.issuer)
        ink = await shop.product(stock=1000)
        first = await shop.order((ink, 1))
        between.mute()
        assert not await running.app.health.ready()
        calls = [(f"k{n}", shop.order((ink, 1), key=f"k{n}")) for n in range(12)]
        reads = [shop.get(first.order_id) for _ in range(12)]
        outcomes = await asyncio.gather(*(outcome(call) for call in (*(call for _, call in calls), *reads)))
        refused = [found for found in outcomes if not isinstance(found, order_pb2.Order)]
        assert {found.reason for found in refused} <= {"SERVICE_UNAVAILABLE", "DEADLINE_EXPIRED"}
        await servers.until(running.app.health.ready, "a database that answers")
        again = await asyncio.gather(*(shop.order((ink, 1), key=key) for key, _ in calls))
        assert len({order.order_id for order in again}) == 12
        assert await shop.stock(ink) == 1000 - 13, "a retry with the same key makes no second order"


async def test_orders_overtake_one_whose_connection_does_not_respond(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "RESPONSE_TIMEOUT_S", 60.0)  # nothing comes to the rescue
    async with behind_a_proxy(harness) as (running, between):
        shop = Shop(running, harness.issuer)
        ink = await shop.product(stock=1000)
        await shop.order((ink, 1))
        between.mute(2)
        orders = []
        for _ in range(12):
            orders.append(asyncio.ensure_future(outcome(shop.order((ink, 1)))))
            await asyncio.wait({orders[-1]}, timeout=0.2)  # one after the other, past those that are stuck

        async def most_are_placed() -> bool:
            done = [order.result() for order in orders if order.done()]
            return sum(isinstance(result, order_pb2.Order) for result in done) >= 6

        await servers.until(most_are_placed, "orders to go by")
        between.close()
        await asyncio.gather(*orders)


async def test_an_order_is_one_statement(quiet_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    ink, paper = await quiet_shop.product(), await quiet_shop.product()
    await quiet_shop.order((ink, 1), (paper, 2))
    run: list[str] = []
    execute = Connection.execute

    async def counted(self, query, *args, **kwargs):
        run.append(str(query))
        return await execute(self, query, *args, **kwargs)

    monkeypatch.setattr(Connection, "execute", counted)
    where = ShippingAddress(recipient="Ada", lines=["1 St James's Square"], locality="London", region_code="GB")
    total = Money(amount_minor=3000, currency="EUR")
    made = {"shipping_address": where, "metadata": {"basket": "7"}, "expected_total": total, "note": "ring twice"}
    await quiet_shop.order((ink, 1), (paper, 2), **made)
    tables = (
        r"\b(products|orders|order_lines|order_changes|payments|customers)\b"  # and not what runs every few seconds
    )
    ours = [sql for sql in run if re.search(tables, sql)]
    assert len(ours) == 1, ours
    assert "INSERT INTO orders" in ours[0]
