"""An order from placed to paid."""

from weft.order.v1 import order_pb2

from tests.order.shop import Shop


async def test_an_order_is_confirmed_and_its_payment_captured_without_further_action(shop: Shop) -> None:
    ink, paper = await shop.product(price=1250), await shop.product(price=2200, title='Paper "A4", {fine} \\ white')
    placed = await shop.order(
        (ink, 2), (paper, 1), (ink, 1), note='for "Ada", {quickly} \\o/ ünï', external_reference="A 1"
    )
    assert [(line.product_id, line.quantity, line.unit_price.amount_minor) for line in placed.lines] == [
        (ink, 3, 1250),
        (paper, 1, 2200),
    ]
    assert (placed.total.amount_minor, placed.total.currency) == (5950, "EUR")
    assert (placed.state, placed.payment_state) == (order_pb2.ORDER_STATE_PENDING, order_pb2.PAYMENT_STATE_PENDING)
    assert (placed.customer_id, placed.partner_id) == (shop.user_id, "")
    done = await shop.reaches(placed.order_id, order_pb2.ORDER_STATE_CONFIRMED, order_pb2.PAYMENT_STATE_CAPTURED)
    same = order_pb2.Order()
    same.CopyFrom(done)
    for name in ("state", "payment_state", "display_state", "etag"):
        setattr(same, name, getattr(placed, name))
    same.update_time.CopyFrom(placed.update_time)
    assert same == placed
    payment = await shop.payment(placed.payment_id)
    assert (payment.order_id, payment.captured_minor, payment.refunded_minor) == (placed.order_id, 5950, 0)
    assert await shop.events(placed.order_id) == [(1, "order.placed"), (2, "order.confirmed"), (3, "payment.captured")]
    assert await shop.stock(ink) == 97
