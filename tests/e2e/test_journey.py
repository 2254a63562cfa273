"""The journey, over the edge only."""

import pytest

pytestmark = pytest.mark.e2e


def cheapest(products):
    return min(products, key=lambda product: int(product["price"]["amountMinor"]))


def test_a_customer_signs_up_orders_and_is_told(journey):
    customer = journey.sign_up()
    product = cheapest(journey.products())

    placed = journey.place_order(customer, product, quantity=2)

    order_id = placed.order["orderId"]
    price = int(product["price"]["amountMinor"])
    assert placed.order["customerId"] == customer.user_id
    assert placed.order["total"] == {"amountMinor": str(2 * price), "currency": product["price"]["currency"]}
    paid = journey.wait_until_paid(customer, order_id)
    payment = journey.call("GET", f"/v1/payments/{paid['paymentId']}", account=customer).json()
    assert (payment["orderId"], payment["state"]) == (order_id, "PAYMENT_STATE_CAPTURED")
    assert payment["capturedMinor"] == str(2 * price)
    assert order_id in journey.wait_for_confirmation(customer.email, order_id)
    assert order_id in journey.wait_for_notice(customer, order_id)["body"]
    unread = journey.call("GET", "/v1/inbox:countUnread", account=customer).json()
    assert int(unread["count"]) >= 1


def test_a_partner_orders_for_its_own_customer(journey):
    partner = journey.partner_token()
    own = journey.partner_customer(partner)

    placed = journey.place_order(partner, cheapest(journey.products()), customer_id=own.user_id)

    order_id = placed.order["orderId"]
    assert placed.order["customerId"] == own.user_id
    assert placed.order["partnerId"].startswith("prt_")
    journey.wait_until_paid(partner, order_id)
    journey.wait_for_confirmation(own.email, order_id)
    listed = journey.call("GET", f"/v1/orders?customerId={own.user_id}", account=partner).json()["orders"]
    assert [order["orderId"] for order in listed] == [order_id]


def test_an_order_of_another_is_not_found(journey):
    first, second = journey.sign_up(), journey.sign_up()
    order_id = journey.place_order(first, cheapest(journey.products())).order["orderId"]

    for account in (second, journey.partner_token()):
        reply = journey.call("GET", f"/v1/orders/{order_id}", account=account, expect=404)
        assert reply.json()["details"][0]["reason"] == "ORDER_NOT_FOUND"
