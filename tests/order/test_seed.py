"""Made-up orders are what the service itself would have written."""

from datetime import datetime

from weft.order.v1.order_service_pb2 import ListOrdersRequest
from weft.order.v1.payment_service_pb2 import GetPaymentRequest

from chassis.commands.seeding import Plan
from chassis.storage.database import Query
from services.order.seed import seed
from tests.order.shop import Shop, metadata

AT = "2026-11-01T00:00:00+00:00"
DIFFERS = """
SELECT o.order_id FROM orders o JOIN payments p USING (order_id) LEFT JOIN sandbox_charges c ON c.key = p.provider_reference
WHERE o.total_minor <> (SELECT SUM(quantity * unit_price_minor) FROM order_lines l WHERE l.order_id = o.order_id)
          + COALESCE((SELECT SUM((c ->> 2)::bigint) FROM jsonb_array_elements(o.charges) c), 0)
    OR o.total_minor <> p.amount_minor OR p.captured_minor <> COALESCE(c.captured_minor, 0)
    OR o.payment_state <> p.state OR o.currency <> 'EUR'
    OR o.version <> (SELECT COUNT(*) FROM order_changes h WHERE h.order_id = o.order_id AND h.customer_id = o.customer_id)
    OR (SELECT COUNT(*) FROM order_lines l JOIN products USING (product_id) WHERE l.order_id = o.order_id)
       <> (SELECT COUNT(*) FROM order_lines l WHERE l.order_id = o.order_id)
    OR p.captured_minor <> COALESCE(
       (SELECT SUM(amount_minor) FROM payment_movements m WHERE m.payment_id = p.payment_id AND kind = 'CAPTURED'), 0)
"""


async def test_made_up_orders_hold_together_and_are_their_customers(shop: Shop) -> None:
    words = ["60", "--run", "r1", "--at", AT, "--customers", "5"]
    said = [line async for line in seed(shop.app, words)]
    assert said[-1].startswith("60 of 60 orders (")
    assert (await shop.database.all(Query("SELECT COUNT(*) AS n FROM orders")))[0].n == 60
    assert await shop.database.all(Query(DIFFERS)) == []

    customers = [Plan("r1", 5, datetime.fromisoformat(AT)).id("usr", number) for number in range(5)]
    found, sent = 0, []
    for customer in customers:
        token = metadata(shop.issuer.user(customer))
        for order in (await shop.orders.ListOrders(ListOrdersRequest(), metadata=token)).orders:
            found += 1
            payment = await shop.payments.GetPayment(GetPaymentRequest(payment_id=order.payment_id), metadata=token)
            assert payment.amount == order.total
            assert order.lines[0].title
            sent.append((order.shipping_address.region_code, [charge.title for charge in order.charges]))
    assert found == 60
    assert {(region, *titles) for region, titles in sent} == {("",), ("AT", "Post", "VAT")}
