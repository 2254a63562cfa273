"""A worker dies around a call to the provider or a write: another one goes on, and the money moves once."""

from datetime import timedelta

import pytest
from weft.order.v1 import order_event_pb2

from chassis.clock import FixedClock
from chassis.storage.database import Query
from tests.harness import Harness
from tests.order.payments.calls import advance, ledger, states
from tests.order.payments.till import AUTHORIZED, CANCELLED, CAPTURED, CONFIRMED, REFUNDED, VOIDED, Till
from tests.order.shop import Shop, metadata

AT_ONCE, IN_TWO_STEPS = "pm_sandbox_ok", "pm_sandbox_charge_back"
"""Captured by the call that authorizes it; by a call of its own, as at providers that have two."""
DEATHS = [
    *((AT_ONCE, where) for where in ("before authorize", "after authorize", "before update", "after update")),
    *((IN_TWO_STEPS, where) for where in ("before authorize", "after authorize", "before update", "after update")),
    *((IN_TWO_STEPS, where) for where in ("before capture", "after capture")),
]


@pytest.fixture
async def till(harness: Harness, clock: FixedClock):
    async with harness.running("order", clock=clock, work=False) as running:
        yield Till(Shop(running, harness.issuer))


@pytest.mark.parametrize(("method", "where"), DEATHS)
async def test_another_worker_resumes_where_one_died(till: Till, method: str, where: str) -> None:
    ink = await till.shop.product(stock=5)
    placed = await till.shop.order((ink, 1), method=method)
    await till.die(where)
    assert await till.run() == 0, "the lease is the dead worker's still"
    advance(till, timedelta(seconds=31))
    assert await till.run() == 1
    assert await states(till, placed) == (CONFIRMED, CAPTURED)
    assert await till.charges() == ["CAPTURED"]
    payment = await till.shop.payment(placed.payment_id)
    assert payment.captured_minor == payment.amount.amount_minor == 1000
    assert await till.shop.events(placed.order_id) == [
        (1, "order.placed"),
        (2, "order.confirmed"),
        (3, "payment.captured"),
    ]
    assert await till.shop.stock(ink) == 4


@pytest.mark.parametrize(("method", "where"), DEATHS)
async def test_the_payment_of_an_order_cancelled_after_a_worker_died_is_reversed(
    till: Till, method: str, where: str
) -> None:
    ink = await till.shop.product(stock=5)
    placed = await till.shop.order((ink, 1), method=method)
    await till.die(where)
    cancelled = await till.shop.cancel(placed.order_id)
    assert cancelled.state == CANCELLED
    advance(till, timedelta(seconds=31))
    await till.run()
    captured = where == "after capture" or (method == AT_ONCE and where != "before authorize")
    assert await states(till, placed) == (CANCELLED, REFUNDED if captured else VOIDED)
    assert await till.charges() == ["REFUNDED" if captured else "VOIDED"]
    assert await till.shop.stock(ink) == 5
    emitted = [kind for _, kind in await till.shop.events(placed.order_id)]
    assert ("payment.refunded" in emitted) == captured
    assert emitted.count("order.cancelled") == 1


async def test_what_the_provider_collects_with_its_first_call_is_one_write_and_two_changes(till: Till) -> None:
    """The timeline, the events, the ledger and the feed are those of two steps."""
    stories = {}
    for method in (AT_ONCE, IN_TWO_STEPS):
        placed = await till.shop.order((await till.shop.product(), 1), method=method)
        await till.run()
        request = order_event_pb2.ListOrderEventsRequest(order_id=placed.order_id)
        changes = (await till.shop.orders.ListOrderEvents(request, metadata=metadata(till.shop.operator))).events
        told = [(c.version, c.type, c.actor, c.state, c.payment_state) for c in changes]
        rows = await till.shop.database.all(
            Query("SELECT version, xid::text FROM order_changes WHERE order_id = %(id)s ORDER BY seq"),
            id=placed.order_id,
        )
        assert [row.version for row in rows] == [1, 2, 3]
        assert (rows[1].xid == rows[2].xid) == (method == AT_ONCE)
        stories[method] = told[1:], await till.shop.events(placed.order_id), await ledger(till, placed)
    assert stories[AT_ONCE] == stories[IN_TWO_STEPS]
    assert stories[AT_ONCE][0] == [
        (2, "order.confirmed", "service:order", CONFIRMED, AUTHORIZED),
        (3, "payment.captured", "service:order", CONFIRMED, CAPTURED),
    ]


@pytest.mark.parametrize("state", ["AUTHORIZED", "CAPTURED"])
async def test_a_charge_that_the_other_release_has_made_is_taken_as_it_is(till: Till, state: str) -> None:
    """It died before it wrote the answer: one release authorizes first, the other collects with the same call."""
    placed = await till.shop.order((await till.shop.product(), 1))
    await till.shop.database.run(
        Query(
            "INSERT INTO sandbox_charges (key, method, amount_minor, currency, state, reason, settles_at, created_at, captured_minor, captures) "
            "SELECT %(key)s, 'pm_sandbox_ok', 1000, 'EUR', %(state)s, '', %(now)s, %(now)s, n * 1000, n "
            "FROM (SELECT (%(state)s = 'CAPTURED')::int AS n) c"
        ),
        key=f"{placed.payment_id}/1",
        state=state,
        now=till.shop.app.clock.now(),
    )
    await till.run()
    assert (await states(till, placed), await till.charges()) == ((CONFIRMED, CAPTURED), ["CAPTURED"])
    assert await ledger(till, placed) == [("AUTHORIZED", 1000), ("CAPTURED", 1000)]
    assert [kind for _, kind in await till.shop.events(placed.order_id)][1:] == ["order.confirmed", "payment.captured"]


@pytest.mark.parametrize("where", ["before reverse", "after reverse"])
async def test_money_is_refunded_once_although_the_worker_dies(till: Till, where: str) -> None:
    placed = await till.shop.order((await till.shop.product(price=700), 1))
    await till.run()
    assert (await till.shop.cancel(placed.order_id)).payment_state == CAPTURED
    await till.die(where)
    advance(till, timedelta(seconds=31))
    await till.run()
    assert await states(till, placed) == (CANCELLED, REFUNDED)
    payment = await till.shop.payment(placed.payment_id)
    assert (payment.captured_minor, payment.refunded_minor) == (700, 700)
    assert [kind for _, kind in await till.shop.events(placed.order_id)] == [
        "order.placed",
        "order.confirmed",
        "payment.captured",
        "order.cancelled",
        "payment.refunded",
    ]
