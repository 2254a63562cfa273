"""What holds of orders and their money, whatever happened."""

from collections.abc import Sequence

from weft.order.v1 import order_event_pb2, order_pb2

from chassis.storage.database import Query
from tests.order.shop import Shop, metadata

_SUMS = Query(
    """
SELECT p.payment_id, p.authorized_minor, p.captured_minor, p.refunded_minor, p.charged_back_minor, p.refunding_minor,
       COALESCE(sum(m.amount_minor) FILTER (WHERE kind = 'AUTHORIZED'), 0)::bigint AS reserved,
       COALESCE(sum(m.amount_minor) FILTER (WHERE kind = 'VOIDED'), 0)::bigint AS voided,
       COALESCE(sum(m.amount_minor) FILTER (WHERE kind = 'CAPTURED'), 0)::bigint AS captured,
       COALESCE(sum(m.amount_minor) FILTER (WHERE kind = 'REFUNDED'), 0)::bigint AS refunded,
       COALESCE(sum(CASE kind WHEN 'CHARGED_BACK' THEN m.amount_minor WHEN 'CHARGE_BACK_REVERSED' THEN -m.amount_minor END), 0)::bigint
         AS charged_back
  FROM payments p LEFT JOIN payment_movements m USING (payment_id) WHERE p.order_id = ANY(%(ids)s) GROUP BY p.payment_id
"""
)
_THEIRS = Query(
    "SELECT split_part(key, '/', 1) AS payment_id, sum(captured_minor) AS captured, sum(refunded_minor) AS refunded, "
    "sum(charged_back_minor) AS charged_back, count(*) FILTER (WHERE state IN ('AUTHORIZED', 'ACTION_REQUIRED')) AS held FROM sandbox_charges WHERE split_part(key, '/', 1) = ANY(%(ids)s) GROUP BY 1"
)
_BY_HAND = Query(
    "SELECT payment_id, sum(amount_minor) FILTER (WHERE kind = 'CAPTURED') AS captured, "
    "sum(amount_minor) FILTER (WHERE kind = 'REFUNDED') AS refunded FROM payment_movements "
    "WHERE provider_reference LIKE 'bank:%%' AND payment_id = ANY(%(ids)s::text[]) GROUP BY 1"
)
_OVER = (
    order_pb2.PAYMENT_STATE_VOIDED,
    order_pb2.PAYMENT_STATE_REFUNDED,
    order_pb2.PAYMENT_STATE_FAILED,
    order_pb2.PAYMENT_STATE_CHARGED_BACK,
)
_GONE = (order_pb2.ORDER_STATE_CANCELLED, order_pb2.ORDER_STATE_EXPIRED)


async def check(shop: Shop, order_ids: Sequence[str]) -> None:
    """At any moment: the sums of a payment are those of its movements, and in their bounds."""
    for row in await shop.database.all(_SUMS, ids=[*order_ids]):
        assert row.authorized_minor == row.reserved - row.voided
        assert (row.captured_minor, row.refunded_minor) == (row.captured, row.refunded)
        assert row.charged_back_minor == row.charged_back
        assert 0 <= row.captured <= row.reserved
        assert 0 <= row.refunded + row.charged_back <= row.captured
        assert row.refunded + row.refunding_minor <= row.captured


async def check_ended(shop: Shop, orders: Sequence[order_pb2.Order]) -> None:
    """Once nothing is under way: the provider's books are ours, and an order that has ended keeps no money."""
    theirs = {r.payment_id: r for r in await shop.database.all(_THEIRS, ids=[o.payment_id for o in orders])}
    by_hand = {r.payment_id: r for r in await shop.database.all(_BY_HAND, ids=[o.payment_id for o in orders])}
    for order in orders:
        payment = await shop.payment(order.payment_id, shop.operator)
        there = theirs.get(order.payment_id)
        hand = by_hand.get(order.payment_id)
        captured = payment.captured_minor - int((hand and hand.captured) or 0)
        ours = captured, payment.refunded_minor - int((hand and hand.refunded) or 0), payment.charged_back_minor
        assert order.state != order_pb2.ORDER_STATE_PENDING
        assert ours == ((there.captured, there.refunded, there.charged_back) if there else (0, 0, 0)), (order, payment)
        if order.state in _GONE:
            assert payment.state in _OVER
            assert not there or there.held == 0, "the provider reserves nothing"
            assert payment.captured_minor == payment.refunded_minor + payment.charged_back_minor
            assert payment.authorized_minor in (0, payment.captured_minor)


async def check_story(shop: Shop, order: order_pb2.Order) -> None:
    """Each change is in the timeline and each event in the outbox, once."""
    request = order_event_pb2.ListOrderEventsRequest(order_id=order.order_id, page_size=1000)
    events = (await shop.orders.ListOrderEvents(request, metadata=metadata(shop.operator))).events
    assert [event.version for event in events] == list(range(1, len(events) + 1))
    assert (events[-1].state, events[-1].payment_state) == (order.state, order.payment_state)
    emitted = await shop.events(order.order_id)
    assert [number for number, _ in emitted] == list(range(1, len(emitted) + 1))
