"""The scenario, over the edge only."""

import pytest

from tests.edge.protocols import assert_refusal

pytestmark = pytest.mark.e2e


def cheapest(products):
    return min(products, key=lambda product: int(product["price"]["amountMinor"]))


def test_a_customer_signs_up_orders_and_is_told(scenario):
    customer = scenario.sign_up()
    product = cheapest(scenario.products())

    placed = scenario.place_order(customer, product, quantity=2)

    order_id = placed.order["orderId"]
    price = int(product["price"]["amountMinor"])
    assert placed.order["customerId"] == customer.user_id
    assert placed.order["total"] == {"amountMinor": str(2 * price), "currency": product["price"]["currency"]}
    paid = scenario.wait_until_paid(customer, order_id)
    payment = scenario.call("GET", f"/v1/payments/{paid['paymentId']}", account=customer).json()
    assert (payment["orderId"], payment["state"]) == (order_id, "PAYMENT_STATE_CAPTURED")
    assert payment["capturedMinor"] == str(2 * price)
    assert order_id in scenario.wait_for_confirmation(customer.email, order_id)
    assert order_id in scenario.wait_for_notification(customer, order_id)["body"]
    unread = scenario.call("GET", "/v1/inbox:countUnread", account=customer).json()
    assert int(unread["count"]) >= 1


def test_a_partner_orders_for_its_own_customer(scenario):
    partner = scenario.partner_token()
    own = scenario.partner_customer(partner)

    placed = scenario.place_order(partner, cheapest(scenario.products()), customer_id=own.user_id)

    order_id = placed.order["orderId"]
    assert placed.order["customerId"] == own.user_id
    assert placed.order["partnerId"].startswith("prt_")
    scenario.wait_until_paid(partner, order_id)
    scenario.wait_for_confirmation(own.email, order_id)
    listed = scenario.call("GET", f"/v1/orders?customerId={own.user_id}", account=partner).json()["orders"]
    assert [order["orderId"] for order in listed] == [order_id]


def test_an_order_of_another_is_not_found(scenario):
    first, second = scenario.sign_up(), scenario.sign_up()
    order_id = scenario.place_order(first, cheapest(scenario.products())).order["orderId"]

    for account in (second, scenario.partner_token()):
        reply = scenario.call("GET", f"/v1/orders/{order_id}", account=account, expect=None)
        assert_refusal(reply, "ORDER_NOT_FOUND", order_id=order_id)
