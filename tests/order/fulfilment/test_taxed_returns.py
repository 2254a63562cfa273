"""The books of orders with tax and shipping: refunds add up to what was paid, and nobody pays another total than was shown."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from weft.order.v1 import payment_pb2
from weft.order.v1 import payment_service_pb2 as pb
from weft.order.v1.money_pb2 import Money

from chassis.clock import FixedClock
from tests.harness import Harness
from tests.order.charges.calls import address, charge, quote, shipping, tax
from tests.order.fulfilment.calls import approved, deliver, delivered, receive, ship
from tests.order.orders.calls import outcome
from tests.order.payments.till import CAPTURED, PARTIAL, REFUNDED, Till
from tests.order.products.calls import update as update_product
from tests.order.shop import Shop, metadata

DIFFERING = """
SELECT count(*) FROM orders o JOIN payments p USING (order_id) WHERE o.total_minor <> p.amount_minor OR o.total_minor <>
  (SELECT sum(quantity * unit_price_minor) FROM order_lines l WHERE l.order_id = o.order_id)
  + COALESCE((SELECT sum((c ->> 2)::bigint) FROM jsonb_array_elements(o.charges) c), 0)
"""


@pytest.fixture
async def till(harness: Harness, clock: FixedClock) -> AsyncIterator[Till]:
    async with harness.running("order", clock=clock, work=False) as running:
        yield Till(Shop(running, harness.issuer))


async def returned(till: Till, order_id: str, *units: tuple[str, int]) -> int:
    """What is refunded for units that come back."""
    back = await receive(till.shop, order_id, await approved(till, order_id, *units))
    await till.run()
    return int(back.returns[-1].refund.amount_minor)


async def test_refunds_of_units_in_parts_add_up_to_their_price_and_tax_and_shipping_is_kept(till: Till) -> None:
    shop = till.shop
    await charge(shop, shipping("Post", 499), tax("VAT", 77_000, taxes_shipping=True))
    ink, pen = await shop.product(price=333), await shop.product(price=1)
    order = await delivered(till, (ink, 3), (pen, 7), shipping_address=address())
    paid = await shop.get(order)
    # 9.99 at 7.7 % is 0.76923, 0.07 is 0.00539, shipping 0.38423
    assert ([line.tax_minor for line in paid.lines], paid.total.amount_minor) == ([77, 1], 999 + 7 + 499 + 77 + 1 + 38)
    amounts = [await returned(till, order, (ink, 1), (pen, 2)) for _ in range(3)]
    assert amounts == [333 + 25 + 2, 333 + 26 + 2, 333 + 26 + 2]
    assert await returned(till, order) == 1 + 1, "the last unit takes the rest of the tax"
    payment = await shop.payment(paid.payment_id)
    assert (payment.refunded_minor, payment.state) == (999 + 77 + 7 + 1, PARTIAL)
    await shop.payments.RefundPayment(
        pb.RefundPaymentRequest(payment_id=paid.payment_id, reason="late"), metadata=metadata(shop.operator, "rest")
    )
    await till.run()
    payment = await shop.payment(paid.payment_id)
    assert (payment.refunded_minor, payment.state) == (paid.total.amount_minor, REFUNDED)


async def test_what_was_not_captured_is_not_refunded(till: Till) -> None:
    shop = till.shop
    await charge(shop, shipping("Post", 499), tax("VAT", 200_000))
    ink = await shop.product(price=1000)
    placed = await shop.order((ink, 2), capture=payment_pb2.CAPTURE_MODE_AT_SHIPMENT)
    await till.run()
    part = pb.CapturePaymentRequest(payment_id=placed.payment_id, amount_minor=1300)
    await shop.payments.CapturePayment(part, metadata=metadata(shop.operator, "part"))
    await till.run()
    await ship(shop, placed.order_id)
    await deliver(shop, placed.order_id)
    amounts = [await returned(till, placed.order_id, (ink, 1)) for _ in range(2)]
    assert amounts == [1200, 100], "the second only as far as it was paid"
    payment = await shop.payment(placed.payment_id)
    assert (payment.captured_minor, payment.refunded_minor, payment.state) == (1300, 1300, REFUNDED)


async def test_nobody_pays_another_total_than_expected_while_prices_and_charges_change(till: Till) -> None:
    shop = till.shop
    ink = await shop.product(price=1000, stock=1000)
    paid: set[int] = set()

    async def buy() -> None:
        shown = (await quote(shop, (ink, 2))).total
        placed = await shop.order((ink, 2), expected_total=shown)
        assert placed.total == shown
        paid.add(shown.amount_minor)

    async def change() -> None:
        for number in range(5):
            price = Money(amount_minor=1000 + number, currency="EUR")
            await update_product(shop, mask=["price"], product_id=ink, price=price)
            await charge(shop, shipping("Post", 100 + 7 * number))
            await buy()  # nothing changes meanwhile

    async def try_to_buy() -> None:
        for _ in range(5):
            refused = await outcome(buy())
            assert refused is None or refused.reason == "PRICE_CHANGED"

    await asyncio.gather(change(), *(try_to_buy() for _ in range(6)))
    assert len(paid) >= 5
    assert await shop.count(DIFFERING) == 0


async def test_the_dearest_order_is_counted_to_the_last_unit(till: Till) -> None:
    shop, dear = till.shop, 10**12
    await charge(shop, shipping("Rocket", dear), tax("All", 1_000_000, taxes_shipping=True))
    rows = [await shop.product(price=dear - number, stock=1000) for number in range(3)]
    placed = await shop.order(*((row, 1000) for row in rows))
    assert placed.total.amount_minor == 2 * (sum(1000 * (dear - number) for number in range(3)) + dear)
    await till.run()
    payment = await shop.payment(placed.payment_id)
    assert (payment.captured_minor, payment.state) == (placed.total.amount_minor, CAPTURED)
