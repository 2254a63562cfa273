"""Concurrent orders."""

import asyncio

from chassis.storage.database import Query
from tests.harness import Harness
from tests.order.orders.calls import all_of
from tests.order.shop import Shop
from tests.order.users import Users


async def test_stock_is_sold_out_and_never_oversold(quiet_shop: Shop) -> None:
    few, plenty = await quiet_shop.product(stock=20), await quiet_shop.product(stock=1000)
    lines = [((few, 1), (plenty, 2)), ((plenty, 2), (few, 1))]
    placed, failed = await all_of([quiet_shop.order(*lines[n % 2]) for n in range(50)])
    assert len(placed) == 20
    assert {(r.reason, r.metadata["product_id"], r.metadata["available"]) for r in failed} == {
        ("OUT_OF_STOCK", few, "0")
    }
    assert [await quiet_shop.stock(few), await quiet_shop.stock(plenty)] == [0, 960]
    assert await quiet_shop.count("SELECT count(*) FROM orders") == 20
    assert await quiet_shop.count("SELECT count(*) FROM order_lines") == 40


async def test_two_replicas_sell_the_same_stock_without_deadlock(harness: Harness, users: Users) -> None:
    prefix = harness.service_database("order")
    peers = {"user": [users.address]}
    async with (
        harness.running("order", prefix=prefix, peers=peers, work=False) as first,
        harness.running("order", prefix=prefix, peers=peers, work=False) as second,
    ):
        one, two = Shop(first, harness.issuer), Shop(second, harness.issuer)
        a, b, c = [await one.product(stock=40) for _ in range(3)]
        forth, back, short = ((a, 1), (b, 1), (c, 1)), ((c, 1), (b, 1), (a, 1)), ((b, 1), (a, 1))
        calls = [shop.order(*lines) for _ in range(10) for shop in (one, two) for lines in (forth, back)]
        placed, failed = await all_of([*calls, *(shop.order(*short) for shop in (one, two) for _ in range(5))])
        assert (len(placed), {r.reason for r in failed}) == (40, {"OUT_OF_STOCK"})
        whole = sum(len(order.lines) == 3 for order in placed)
        assert [await one.stock(p) for p in (a, b, c)] == [0, 0, 40 - whole]


async def test_fifty_calls_with_one_key_make_one_order(quiet_shop: Shop) -> None:
    ink = await quiet_shop.product(stock=100)
    placed, failed = await all_of([quiet_shop.order((ink, 1), key="one") for _ in range(50)])
    assert failed == []
    assert len({order.SerializeToString(deterministic=True) for order in placed}) == 1
    assert await quiet_shop.stock(ink) == 99


async def test_one_key_at_two_replicas_makes_one_order(harness: Harness, users: Users) -> None:
    prefix = harness.service_database("order")
    async with (
        harness.running("order", prefix=prefix, work=False) as first,
        harness.running("order", prefix=prefix, work=False) as second,
    ):
        one, two = Shop(first, harness.issuer), Shop(second, harness.issuer)
        ink, token = await one.product(stock=100), one.user
        for n in range(10):
            calls = [shop.order((ink, 1), key=f"k{n}", token=token) for shop in (one, two) for _ in range(3)]
            placed, failed = await all_of(calls)
            assert failed == []
            assert len({order.order_id for order in placed}) == 1
        assert await one.stock(ink) == 90


async def test_bad_orders_among_good_ones_fail_alone(quiet_shop: Shop) -> None:
    ink, gone = await quiet_shop.product(stock=1000), await quiet_shop.product(stock=0)
    used = await quiet_shop.order((ink, 1), key="used")
    calls = [quiet_shop.order((ink, 1)) for _ in range(30)]
    calls[7:7] = [quiet_shop.order((ink, 1), (gone, 1))]
    calls[20:20] = [quiet_shop.order((ink, 1), key="used")]
    placed, failed = await all_of(calls)
    assert [(r.reason, r.metadata["product_id"]) for r in failed] == [("OUT_OF_STOCK", gone)]
    assert len(placed) == 31
    assert sum(order == used for order in placed) == 1
    assert await quiet_shop.stock(ink) == 1000 - 31


async def test_a_price_that_changes_during_many_orders_is_paid_by_all_later_ones(quiet_shop: Shop) -> None:
    ink = await quiet_shop.product(price=100, stock=1000)
    await quiet_shop.order((ink, 1))

    async def reprice() -> None:
        await quiet_shop.database.run(Query("UPDATE products SET price_minor = 150, version = version + 1"))

    placed, failed = (await asyncio.gather(all_of([quiet_shop.order((ink, 1)) for _ in range(40)]), reprice()))[0]
    assert failed == []
    assert {order.total.amount_minor for order in placed} <= {100, 150}
    assert (await quiet_shop.order((ink, 1))).total.amount_minor == 150
    wrong = "SELECT count(*) FROM orders o JOIN order_lines l USING (order_id) WHERE o.total_minor <> l.unit_price_minor * l.quantity"
    assert await quiet_shop.count(wrong) == 0


async def test_a_caller_that_disconnects_does_not_affect_its_batch(quiet_shop: Shop) -> None:
    ink = await quiet_shop.product(stock=1000)
    staying = [quiet_shop.order((ink, 1)) for _ in range(10)]
    leaving = [quiet_shop.order((ink, 1), key=f"gone-{n}") for n in range(10)]
    await asyncio.sleep(0.001)
    for call in leaving:
        call.cancel()
    placed, failed = await all_of(staying)
    assert (len(placed), failed) == (10, [])
    again, failed = await all_of([quiet_shop.order((ink, 1), key=f"gone-{n}") for n in range(10)])
    assert (len(again), failed) == (10, [])
    assert await quiet_shop.count("SELECT count(*) FROM orders") == 20, "who comes back with the key has one order"
    assert await quiet_shop.stock(ink) == 980
