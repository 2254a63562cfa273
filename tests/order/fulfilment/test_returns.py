"""Goods come back once: what was delivered, what was approved, what was paid for it; stock and money follow."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from weft.order.v1 import events_pb2, fulfilment_pb2, order_pb2, payment_pb2
from weft.order.v1 import payment_service_pb2 as payments

from chassis import ids
from chassis.clock import FixedClock
from chassis.storage.database import Query
from services.order.customers.repository import CustomerRepository
from tests.harness import Harness, assert_refusal, assert_refused
from tests.order.fulfilment.calls import (
    R,
    approve,
    approved,
    deliver,
    delivered,
    receive,
    request,
    ship,
    timeline,
)
from tests.order.payments.till import CAPTURED, PARTIAL, REFUNDED, Till
from tests.order.shop import Shop, metadata

F = fulfilment_pb2


@pytest.fixture
async def till(harness: Harness, clock: FixedClock) -> AsyncIterator[Till]:
    async with harness.running("order", clock=clock, work=False) as running:
        yield Till(Shop(running, harness.issuer))


def refuse(shop: Shop, order_id: str, return_id: str, key: str = ""):
    asked = R.RefuseReturnRequest(order_id=order_id, return_id=return_id, reason="worn")
    return shop.orders.RefuseReturn(asked, metadata=metadata(shop.operator, key))


async def test_goods_come_back_in_parts_and_their_price_with_them(till: Till) -> None:
    shop = till.shop
    ink, pen = await shop.product(price=333, stock=10), await shop.product(price=50, stock=10)
    order = await delivered(till, (ink, 3), (pen, 1))
    asked = await request(shop, order, (ink, 2), (pen, 1), reason="too blue", key="k")
    assert await request(shop, order, (ink, 2), (pen, 1), reason="too blue", key="k") == asked, "the same key asks once"
    (made,) = asked.returns
    assert (made.state, made.reason, made.refund.amount_minor) == (R.RETURN_STATE_REQUESTED, "too blue", 0)
    assert (await shop.stock(ink), asked.fulfilment_state) == (7, F.FULFILMENT_STATE_DELIVERED), "nothing is back yet"
    decided = await approve(shop, order, made.return_id)
    assert (decided.returns[0].state, decided.returns[0].decision_reason) == (R.RETURN_STATE_APPROVED, "as new")
    first = await receive(shop, order, made.return_id, (ink, 1), key="back")
    assert await receive(shop, order, made.return_id, (ink, 1), key="back") == first, "the same key receives once"
    assert (first.returns[0].state, first.returns[0].refund.amount_minor) == (R.RETURN_STATE_PARTIALLY_RECEIVED, 333)
    assert (first.fulfilment_state, first.display_state) == (
        F.FULFILMENT_STATE_PARTIALLY_RETURNED,
        order_pb2.ORDER_DISPLAY_STATE_PARTIALLY_RETURNED,
    )
    assert [line.returned_quantity for line in first.lines] == [1, 0]
    assert (await shop.stock(ink), first.payment_state) == (8, CAPTURED), "the provider is called afterwards"
    await till.run()
    assert (await shop.get(order)).payment_state == PARTIAL
    await receive(shop, order, made.return_id)
    await till.run()
    payment = await shop.payment(first.payment_id)
    assert payment.refunded_minor == 333 * 2 + 50
    last = await approved(till, order)
    end = await receive(shop, order, last)
    await till.run()
    end = await shop.get(order)
    assert (end.state, end.payment_state, end.fulfilment_state) == (
        order_pb2.ORDER_STATE_COMPLETED,
        REFUNDED,
        F.FULFILMENT_STATE_RETURNED,
    )
    assert [each.state for each in end.returns] == [R.RETURN_STATE_RECEIVED] * 2
    assert (await shop.stock(ink), await shop.stock(pen)) == (10, 10)
    happened = [(e.type, e.actor, e.reason) for e in (await timeline(shop, order)).events if "return" in e.type]
    assert happened[:3] == [
        ("order.return_requested", shop.user_id, "too blue"),
        ("order.return_approved", shop.operator_id, "as new"),
        ("order.return_received", shop.operator_id, ""),
    ]
    emitted = sorted(await shop.emitted(order), key=lambda event: event.sequence)
    received = [
        events_pb2.OrderReturnReceived.FromString(e.payload.value) for e in emitted if e.type == "order.return_received"
    ]
    assert [(e.refund.amount_minor, e.complete, len(e.lines)) for e in received] == [
        (333, False, 1),
        (383, True, 2),
        (333, True, 1),
    ]
    refunds = [events_pb2.PaymentRefunded.FromString(e.payload.value) for e in emitted if e.type == "payment.refunded"]
    assert [(e.refund_id, e.amount) for e in refunds] == [(e.refund_id, e.refund) for e in received]
    assert all(b"too blue" not in e.SerializeToString() for e in emitted), "events have no free text of the buyer"
    await CustomerRepository(shop.database).erase(shop.user_id, pseudonym := ids.new("usr"))
    erased = await shop.get(order, shop.operator)
    assert (erased.customer_id, [each.reason for each in erased.returns]) == (pseudonym, ["", ""])
    assert erased.returns[0].lines == end.returns[0].lines, "only what the buyer wrote is gone"


async def test_what_cannot_come_back_is_refused_by_name(till: Till) -> None:
    shop = till.shop
    ink, pen = await shop.product(), await shop.product()
    order = (await shop.order((ink, 3))).order_id
    await till.run()
    strange = ids.new("rtn")
    for call in (approve, refuse, receive):
        await assert_refused(call(shop, order, strange), "NO_RETURN_REQUESTED", order_id=order)
    await assert_refused(request(shop, order), "NOTHING_TO_RETURN", order_id=order)
    await ship(shop, order, (ink, 2))
    await assert_refused(request(shop, order, (ink, 1)), "NOTHING_TO_RETURN", order_id=order)
    await deliver(shop, order)
    await assert_refused(request(shop, order, (pen, 1)), "ORDER_LINE_NOT_FOUND", order_id=order, product_id=pen)
    more = {"product_id": ink, "requested": "3", "available": "2"}
    await assert_refused(request(shop, order, (ink, 3)), "RETURN_EXCEEDS_DELIVERY", **more)
    first = (await request(shop, order, (ink, 1))).returns[0].return_id
    await assert_refused(
        request(shop, order, (ink, 2)), "RETURN_EXCEEDS_DELIVERY", **more | {"requested": "2", "available": "1"}
    )
    await assert_refused(receive(shop, order, first), "RETURN_NOT_APPROVED", return_id=first, state="REQUESTED")
    for call in (approve, refuse, receive):
        await assert_refused(call(shop, order, strange), "RETURN_NOT_FOUND", return_id=strange)
    refused_one = (await request(shop, order)).returns[1].return_id
    await assert_refused(request(shop, order), "NOTHING_TO_RETURN", order_id=order)
    await refuse(shop, order, refused_one)
    await assert_refused(
        receive(shop, order, refused_one), "RETURN_NOT_APPROVED", return_id=refused_one, state="REFUSED"
    )
    for call in (approve, refuse):
        await assert_refused(
            call(shop, order, refused_one), "RETURN_ALREADY_DECIDED", return_id=refused_one, state="REFUSED"
        )
    await approve(shop, order, first)
    await assert_refused(
        receive(shop, order, first, (ink, 2)), "RETURN_EXCEEDS_REQUEST", product_id=ink, requested="2", available="1"
    )
    await assert_refused(receive(shop, order, first, (pen, 1)), "ORDER_LINE_NOT_FOUND", order_id=order, product_id=pen)
    await receive(shop, order, first)
    await assert_refused(receive(shop, order, first), "RETURN_ALREADY_RECEIVED", return_id=first)
    for _ in range(18):
        await refuse(shop, order, (await request(shop, order)).returns[-1].return_id)
    await assert_refused(request(shop, order), "TOO_MANY_RETURNS", limit="20")
    # What came back before the last unit was delivered shows once that is.
    await ship(shop, order)
    assert (await shop.get(order)).fulfilment_state == F.FULFILMENT_STATE_SHIPPED
    await deliver(shop, order)
    assert (await shop.get(order)).fulfilment_state == F.FULFILMENT_STATE_PARTIALLY_RETURNED
    assert await shop.stock(ink) == 98
    for call in (approve, refuse, receive):
        await assert_refused(call(shop, (nobodys := ids.new("ord")), first), "ORDER_NOT_FOUND", order_id=nobodys)
    theirs = request(shop, order, token=shop.issuer.user(ids.new("usr")))
    await assert_refused(theirs, "ORDER_NOT_FOUND", order_id=order)
    await assert_refused(request(shop, order, token=shop.operator), "ORDER_NOT_FOUND", order_id=order)


async def test_of_a_return_received_by_ten_at_once_the_money_and_the_stock_move_once(till: Till) -> None:
    shop = till.shop
    ink = await shop.product(price=700, stock=4)
    order = await delivered(till, (ink, 2))
    one = await approved(till, order, (ink, 1))
    outcomes = await asyncio.gather(*(receive(shop, order, one) for _ in range(10)), return_exceptions=True)
    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(errors) == 9
    for error in errors:
        assert_refusal(error, "RETURN_ALREADY_RECEIVED")
    await till.run()
    found = await shop.payment((await shop.get(order)).payment_id)
    assert (found.refunded_minor, await shop.stock(ink)) == (700, 3)


async def test_a_return_never_refunds_more_than_is_left_of_the_payment(till: Till) -> None:
    """An operator refunds beside it; the money may also be on its way in, or back at the payer's bank."""
    shop = till.shop
    ink = await shop.product(price=700, stock=9)
    order = await delivered(till, (ink, 2))
    both = await approved(till, order)
    payment_id = (await shop.get(order)).payment_id
    goodwill = payments.RefundPaymentRequest(payment_id=payment_id, amount_minor=900)
    await shop.payments.RefundPayment(goodwill, metadata=metadata(shop.operator, ids.new("key")))
    assert (await receive(shop, order, both, (ink, 1))).returns[0].refund.amount_minor == 500
    assert (await receive(shop, order, both)).returns[0].refund.amount_minor == 500, "there was nothing left"
    await till.run()
    assert (await shop.payment(payment_id)).refunded_minor == 1400
    assert await shop.stock(ink) == 9

    full = await delivered(till, (ink, 1))
    await shop.database.run(Query("UPDATE payments SET refund_count = 100"))
    await assert_refused(receive(shop, full, await approved(till, full)), "TOO_MANY_REFUNDS", limit="100")
    goodwill = payments.RefundPaymentRequest(payment_id=(await shop.get(full)).payment_id, amount_minor=1)
    call = shop.payments.RefundPayment(goodwill, metadata=metadata(shop.operator, ids.new("key")))
    await assert_refused(call, "TOO_MANY_REFUNDS", limit="100")
    assert await shop.stock(ink) == 8

    late = await shop.order((ink, 1), capture=payment_pb2.CAPTURE_MODE_AT_SHIPMENT)
    await till.run()
    await ship(shop, late.order_id)
    await deliver(shop, late.order_id)
    back = await approved(till, late.order_id)
    await assert_refused(
        receive(shop, late.order_id, back), "PAYMENT_NOT_REFUNDABLE", payment_id=late.payment_id, state="AUTHORIZED"
    )
    await till.run()
    assert (await receive(shop, late.order_id, back)).returns[0].refund.amount_minor == 700


async def test_a_refund_that_the_provider_refuses_can_be_made_again(till: Till) -> None:
    shop = till.shop
    ink = await shop.product(price=700, stock=9)
    order = await delivered(till, (ink, 1), method="pm_sandbox_refund_fails")
    await receive(shop, order, await approved(till, order))
    await till.run()
    assert "payment.refund_failed" in [kind for _, kind in await shop.events(order)]
    found = await shop.payment((await shop.get(order)).payment_id)
    assert (found.refunded_minor, found.refundable_minor) == (0, 700)
