"""Operators put orders right by hand: paid by bank transfer, released, given back by bank transfer."""

import asyncio
import secrets
from datetime import timedelta

import pytest
from weft.order.v1 import fulfilment_pb2, order_pb2, payment_service_pb2
from weft.order.v1 import order_event_pb2 as events_pb
from weft.order.v1 import override_pb2 as pb

from chassis import ids
from chassis.clock import FixedClock
from chassis.storage.database import Query
from tests import servers
from tests.harness import Harness, assert_refused
from tests.order.orders.calls import locked
from tests.order.payments.calls import advance, ledger, reconciliation, refund, settle, states
from tests.order.payments.till import (
    CANCELLED,
    CAPTURED,
    CONFIRMED,
    FAILED,
    NOT_ASKED,
    PARTIAL,
    PENDING,
    REFUNDED,
    VOIDED,
    Till,
)
from tests.order.shop import Shop, metadata

PAID, RELEASE, REFUND = "mark_paid", "release", "refund"


@pytest.fixture
async def till(harness: Harness, clock: FixedClock):
    async with harness.running("order", clock=clock, work=False) as running:
        yield Till(Shop(running, harness.issuer))


def override(till: Till, order: order_pb2.Order, action: str, key: str = "", token: str = "", **more):
    request = pb.OverrideOrderRequest(order_id=order.order_id, reason="by telephone", **{action: more})
    return till.shop.orders.OverrideOrder(
        request, metadata=metadata(token or till.shop.operator, key or secrets.token_hex(8))
    )


async def differences(till: Till) -> int:
    """That a reconciliation with the provider finds later."""
    advance(till, timedelta(days=1))
    return await reconciliation(till).run()


async def test_a_declined_order_that_is_paid_by_bank_transfer_and_given_back(till: Till) -> None:
    ink = await till.shop.product(stock=5)
    placed = await till.shop.order((ink, 1), method="pm_sandbox_declined")
    await till.run()
    assert await states(till, placed) == (PENDING, FAILED)
    paid = await override(till, placed, PAID, "k1", reference="RF18 5390")
    assert (paid.state, paid.payment_state) == (CONFIRMED, CAPTURED)
    assert (await override(till, placed, PAID, "k1", reference="RF18 5390")) == paid, "the same call"
    await assert_refused(override(till, placed, PAID), "PAYMENT_NOT_CONFIRMABLE")
    for cancelling in (override(till, placed, RELEASE), till.shop.cancel(placed.order_id)):
        await assert_refused(cancelling, "ORDER_PAID_BY_BANK_TRANSFER", order_id=placed.order_id)
    assert await differences(till) == 0, "the provider knows nothing of it"
    await refund(till, placed, 300)
    await settle(till)
    payment = await till.shop.payment(placed.payment_id)
    assert (payment.refunding_minor, payment.refunded_minor) == (300, 0), "until it is sent by hand"
    await override(till, placed, REFUND, reference="RF19")
    assert (await till.shop.payment(placed.payment_id)).state == PARTIAL
    await assert_refused(override(till, placed, REFUND, amount_minor=701), "REFUND_EXCEEDS_CAPTURED")
    await override(till, placed, REFUND, reference="RF20")
    assert await states(till, placed) == (CONFIRMED, REFUNDED)
    await assert_refused(override(till, placed, REFUND), "PAYMENT_NOT_REFUNDABLE")
    assert await ledger(till, placed) == [
        ("AUTHORIZED", 1000),
        ("CAPTURED", 1000),
        ("REFUNDED", 300),
        ("REFUNDED", 700),
    ]
    request = payment_service_pb2.ListMovementsRequest(payment_id=placed.payment_id)
    rows = (await till.shop.payments.ListMovements(request, metadata=metadata(till.shop.operator))).movements
    assert [row.provider_reference for row in rows][1:] == ["bank:RF18 5390", "bank:RF19", "bank:RF20"]
    await override(till, placed, RELEASE)
    await assert_refused(
        override(till, placed, RELEASE), "ORDER_NOT_CANCELLABLE", order_id=placed.order_id, state="CANCELLED"
    )
    assert (await states(till, placed), await till.shop.stock(ink)) == ((CANCELLED, REFUNDED), 5)
    await settle(till)
    assert (await differences(till), await till.charges()) == (0, ["DECLINED"])


async def test_who_put_an_order_right_and_why_is_in_its_timeline(till: Till) -> None:
    placed = await till.shop.order((await till.shop.product(), 1))
    paid = await override(till, placed, PAID)
    await till.run()
    assert (paid.payment_state, await till.charges()) == (CAPTURED, []), "the provider is not called any more"
    request = events_pb.ListOrderEventsRequest(order_id=placed.order_id)
    event = (await till.shop.orders.ListOrderEvents(request, metadata=metadata(till.shop.user))).events[-1]
    assert (event.type, event.reason, event.actor) == ("order.confirmed", "by telephone", till.shop.operator_id)
    assert [kind for _, kind in await till.shop.events(placed.order_id)] == [
        "order.placed",
        "order.confirmed",
        "payment.captured",
    ]
    await till.shop.orders.ShipOrder(
        fulfilment_pb2.ShipOrderRequest(order_id=placed.order_id), metadata=metadata(till.shop.operator, "k2")
    )
    await assert_refused(override(till, placed, RELEASE), "ORDER_ALREADY_SHIPPED", order_id=placed.order_id)
    await till.shop.database.run(Query("UPDATE payments SET refund_count = 100"))
    await assert_refused(override(till, placed, REFUND), "TOO_MANY_REFUNDS", limit="100")


@pytest.mark.parametrize("method", ["pm_sandbox_timeout", "pm_sandbox_action_required", "pm_sandbox_ok"])
async def test_an_order_that_the_provider_may_still_collect_is_not_marked_paid(till: Till, method: str) -> None:
    placed = await till.shop.order((await till.shop.product(), 1), method=method)
    await till.run()
    await assert_refused(override(till, placed, PAID), "PAYMENT_NOT_CONFIRMABLE")
    await override(till, placed, RELEASE)
    await settle(till)
    assert (await states(till, placed))[0] == CANCELLED
    assert (await states(till, placed))[1] in (VOIDED, REFUNDED)


async def test_what_a_provider_collected_is_not_given_back_by_hand(till: Till) -> None:
    placed = await till.shop.order((await till.shop.product(), 1))
    await till.run()
    await assert_refused(override(till, placed, REFUND), "PAYMENT_NOT_REFUNDABLE")


async def test_what_makes_no_sense_is_refused(till: Till) -> None:
    placed = await till.shop.order((await till.shop.product(), 1))
    nothing = pb.OverrideOrderRequest(order_id=placed.order_id, reason="by telephone")
    call = till.shop.orders.OverrideOrder(nothing, metadata=metadata(till.shop.operator, "k1"))
    await assert_refused(call, "REQUEST_INVALID", violations={"action": "must be given"})
    missing = order_pb2.Order(order_id=ids.new("ord"))
    await assert_refused(override(till, missing, PAID), "ORDER_NOT_FOUND", order_id=missing.order_id)
    reader = till.shop.issuer.operator(till.shop.operator_id, "orders.read orders.write orders.fulfil payments.read")
    await assert_refused(override(till, placed, PAID, token=reader), "SCOPE_MISSING")
    assert (await states(till, placed))[1] == NOT_ASKED


async def test_refunds_by_hand_at_once_settle_one_each_of_those_that_wait(till: Till) -> None:
    placed = await till.shop.order((await till.shop.product(), 1), method="pm_sandbox_declined")
    await till.run()
    await override(till, placed, PAID, reference="RF18 5390")
    for _ in range(4):
        await refund(till, placed, 200)
    async with locked(till.shop, "orders", "order_id", placed.order_id):
        calls = [asyncio.ensure_future(override(till, placed, REFUND, reference=f"RF{number}")) for number in range(3)]
        waiting = (
            "SELECT count(*) = 3 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        await servers.until(lambda: till.shop.count(waiting), "all of them to wait for the order")
    await asyncio.gather(*calls)
    payment = await till.shop.payment(placed.payment_id)
    assert (payment.refunding_minor, payment.refunded_minor) == (200, 600)
    rows = await till.shop.database.all(Query("SELECT state, amount_minor FROM payment_refunds ORDER BY state"))
    assert [tuple(row) for row in rows] == [("PENDING", 200), *[("SUCCEEDED", 200)] * 3]


async def test_an_order_of_nothing_from_an_earlier_release_can_be_put_right(till: Till) -> None:
    placed = await till.shop.order((await till.shop.product(), 1), method="pm_sandbox_declined")
    await till.run()
    await till.shop.database.run(Query("UPDATE orders SET total_minor = 0"))
    await override(till, placed, PAID, reference="RF18 5390")
    assert (await states(till, placed), await ledger(till, placed)) == ((CONFIRMED, CAPTURED), [])
