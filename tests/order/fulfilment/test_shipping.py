"""Shipping and delivering in part: what is there goes once, and the order's states follow."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from weft.order.v1 import events_pb2, fulfilment_pb2, order_pb2

from chassis import ids
from chassis.clock import FixedClock
from tests.harness import Harness, assert_refused, refusal
from tests.order.fulfilment.calls import deliver, ship, timeline
from tests.order.payments.till import CAPTURED, CONFIRMED, Till
from tests.order.shop import Shop, listed

F = fulfilment_pb2
COMPLETED = order_pb2.ORDER_STATE_COMPLETED


@pytest.fixture
async def till(harness: Harness, clock: FixedClock) -> AsyncIterator[Till]:
    async with harness.running("order", clock=clock, work=False) as running:
        yield Till(Shop(running, harness.issuer))


async def test_an_order_is_shipped_and_delivered_in_parts_and_is_then_completed(till: Till) -> None:
    shop = till.shop
    ink, pen = await shop.product(), await shop.product(title="Pen")
    placed = await shop.order((ink, 3), (pen, 1))
    await till.run()
    first = await ship(shop, placed.order_id, (ink, 2), carrier="DHL", tracking_number="00340")
    assert (first.fulfilment_state, first.display_state) == (
        F.FULFILMENT_STATE_PARTIALLY_SHIPPED,
        order_pb2.ORDER_DISPLAY_STATE_PARTIALLY_SHIPPED,
    )
    (shipment,) = first.shipments
    assert (shipment.carrier, shipment.tracking_number, shipment.HasField("deliver_time")) == ("DHL", "00340", False)
    assert [(line.shipped_quantity, line.delivered_quantity) for line in first.lines] == [(2, 0), (0, 0)]
    part = await deliver(shop, placed.order_id, (ink, 1))
    assert part.fulfilment_state == F.FULFILMENT_STATE_PARTIALLY_SHIPPED
    second = await ship(shop, placed.order_id)
    assert second.fulfilment_state == F.FULFILMENT_STATE_SHIPPED
    assert [(line.product_id, line.quantity) for line in second.shipments[1].lines] == [(ink, 1), (pen, 1)]
    third = await deliver(shop, placed.order_id, shipment_id=second.shipments[1].shipment_id)
    assert (third.state, third.fulfilment_state) == (CONFIRMED, F.FULFILMENT_STATE_SHIPPED)
    assert [s.HasField("deliver_time") for s in third.shipments] == [False, True]
    done = await deliver(shop, placed.order_id)
    assert (done.state, done.payment_state, done.fulfilment_state, done.display_state) == (
        COMPLETED,
        CAPTURED,
        F.FULFILMENT_STATE_DELIVERED,
        order_pb2.ORDER_DISPLAY_STATE_DELIVERED,
    )
    assert await shop.get(placed.order_id) == done
    assert [kind for _, kind in await shop.events(placed.order_id)][3:] == [
        "order.shipped",
        "order.delivered",
        "order.shipped",
        "order.delivered",
        "order.delivered",
        "order.completed",
    ]
    emitted = sorted(await shop.emitted(placed.order_id), key=lambda event: event.sequence)
    shipped = [events_pb2.OrderShipped.FromString(e.payload.value) for e in emitted if e.type == "order.shipped"]
    assert [(e.shipment == s, e.complete) for e, s in zip(shipped, second.shipments, strict=True)] == [
        (False, False),  # a unit of it was delivered since
        (True, True),
    ]
    delivered = [events_pb2.OrderDelivered.FromString(e.payload.value) for e in emitted if e.type == "order.delivered"]
    assert [(len(e.lines), e.complete) for e in delivered] == [(1, False), (2, False), (1, True)]


async def test_what_cannot_be_shipped_or_delivered_is_refused_by_name(till: Till) -> None:
    shop = till.shop
    ink, pen = await shop.product(), await shop.product()
    order = (await shop.order((ink, 3))).order_id
    states = {"state": "PENDING", "payment_state": "PENDING"}
    await assert_refused(ship(shop, order), "ORDER_NOT_SHIPPABLE", order_id=order, **states)
    await till.run()
    await assert_refused(deliver(shop, order), "ORDER_NOT_SHIPPED", order_id=order)
    await assert_refused(ship(shop, order, (pen, 1)), "ORDER_LINE_NOT_FOUND", order_id=order, product_id=pen)
    await assert_refused(
        ship(shop, order, (ink, 4)), "SHIPMENT_EXCEEDS_ORDER", product_id=ink, requested="4", available="3"
    )
    await ship(shop, order, (ink, 1))
    await assert_refused(shop.cancel(order), "ORDER_ALREADY_SHIPPED", order_id=order)
    await assert_refused(deliver(shop, order, (pen, 1)), "ORDER_LINE_NOT_FOUND", order_id=order, product_id=pen)
    await assert_refused(
        deliver(shop, order, (ink, 2)), "DELIVERY_EXCEEDS_SHIPMENT", product_id=ink, requested="2", available="1"
    )
    strange = ids.new("shp")
    await assert_refused(deliver(shop, order, shipment_id=strange), "SHIPMENT_NOT_FOUND", shipment_id=strange)
    await deliver(shop, order)
    await assert_refused(deliver(shop, order), "ORDER_ALREADY_DELIVERED", order_id=order)
    await ship(shop, order)
    await assert_refused(ship(shop, order), "ORDER_ALREADY_SHIPPED", order_id=order)
    await deliver(shop, order)
    await assert_refused(ship(shop, order), "ORDER_ALREADY_SHIPPED", order_id=order)
    await assert_refused(shop.cancel(order), "ORDER_NOT_CANCELLABLE", order_id=order, state="COMPLETED")
    for call in (ship, deliver):
        await assert_refused(call(shop, missing := ids.new("ord")), "ORDER_NOT_FOUND", order_id=missing)


async def test_an_order_has_so_many_shipments_and_no_more(till: Till) -> None:
    shop = till.shop
    ink = await shop.product()
    order = (await shop.order((ink, 60))).order_id
    await till.run()
    for _ in range(50):
        await ship(shop, order, (ink, 1))
    await assert_refused(ship(shop, order), "TOO_MANY_SHIPMENTS", limit="50")


async def test_units_shipped_by_many_at_once_leave_once(till: Till) -> None:
    shop = till.shop
    ink = await shop.product()
    order = (await shop.order((ink, 3))).order_id
    await till.run()
    results = await asyncio.gather(
        *(ship(shop, order, (ink, 1)) for _ in range(6)), shop.cancel(order), return_exceptions=True
    )
    reasons = sorted(refusal(r).reason for r in results if isinstance(r, grpc.RpcError))
    found = await shop.get(order)
    if found.state == CONFIRMED:
        assert reasons == ["ORDER_ALREADY_SHIPPED"] * 4, "three of them, and the cancellation"
        assert found.lines[0].shipped_quantity == 3
        assert await shop.stock(ink) == 97
    else:
        assert reasons == ["ORDER_NOT_SHIPPABLE"] * 6
        assert await shop.stock(ink) == 100


async def test_the_timeline_tells_who_did_what_and_why(till: Till) -> None:
    shop = till.shop
    ink = await shop.product()
    kept, dropped = await shop.order((ink, 1)), await shop.order((ink, 1))
    await till.run()
    await ship(shop, kept.order_id)
    await shop.cancel(dropped.order_id, reason="bought twice")
    await till.run()
    told = await timeline(shop, kept.order_id)
    service, user, operator = "service:order", shop.user_id, shop.operator_id
    assert [(e.version, e.type, e.actor, e.fulfilment_state) for e in told.events] == [
        (1, "order.placed", user, F.FULFILMENT_STATE_UNFULFILLED),
        (2, "order.confirmed", service, F.FULFILMENT_STATE_UNFULFILLED),
        (3, "payment.captured", service, F.FULFILMENT_STATE_UNFULFILLED),
        (4, "order.shipped", operator, F.FULFILMENT_STATE_SHIPPED),
    ]
    ended = await timeline(shop, dropped.order_id)
    assert [(e.type, e.reason, e.actor) for e in ended.events][3:] == [
        ("order.cancelled", "bought twice", user),
        ("payment.refunded", "", service),
    ]
    first = await timeline(shop, kept.order_id, page_size=3)
    rest = await timeline(shop, kept.order_id, page_size=3, page_token=first.next_page_token)
    assert [*first.events, *rest.events] == list(told.events)
    assert rest.next_page_token == ""
    missing = ids.new("ord")
    await assert_refused(timeline(shop, missing), "ORDER_NOT_FOUND", order_id=missing)


async def test_orders_are_listed_by_each_of_their_states(till: Till) -> None:
    shop = till.shop
    ink = await shop.product()
    waiting, paid, shipped = [(await shop.order((ink, 1))).order_id for _ in range(3)]
    await shop.cancel(waiting)
    await till.run()
    await ship(shop, shipped)
    assert await listed(shop, fulfilment_states=[F.FULFILMENT_STATE_SHIPPED]) == [shipped]
    assert await listed(shop, payment_states=[CAPTURED]) == sorted([shipped, paid], reverse=True)
    assert await listed(shop, payment_states=[CAPTURED], fulfilment_states=[F.FULFILMENT_STATE_UNFULFILLED]) == [paid]
