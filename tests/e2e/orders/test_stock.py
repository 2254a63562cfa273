"""Stock is reserved whole or not at all."""

import uuid

import pytest

from tests.edge.protocols import assert_refusal

pytestmark = pytest.mark.e2e


def test_an_order_for_more_than_the_stock_changes_nothing_and_says_why(scenario, customer):
    partner = scenario.partner_token()
    price = {"amountMinor": "500", "currency": "EUR"}
    scarce, plenty = (
        scenario.call(
            "POST", "/v1/products", {"title": title, "price": price, "stock": stock}, partner,
            key=str(uuid.uuid4()), expect=201,
        ).json()
        for title, stock in (("Scarce", "3"), ("Plenty", "100"))
    )  # fmt: skip
    before = scenario.call("GET", "/v1/orders?pageSize=1000", account=customer).json()["orders"]

    lines = [{"productId": plenty["productId"], "quantity": 1}, {"productId": scarce["productId"], "quantity": 5}]
    body = {"lines": lines, "paymentMethod": "pm_sandbox_ok"}
    refused = scenario.call("POST", "/v1/orders", body, customer, key=str(uuid.uuid4()), expect=None)
    assert_refusal(refused, "OUT_OF_STOCK", product_id=scarce["productId"], requested="5", available="3")
    for product, stock in ((scarce, "3"), (plenty, "100")):
        assert scenario.call("GET", f"/v1/products/{product['productId']}").json()["stock"] == stock
    assert scenario.call("GET", "/v1/orders?pageSize=1000", account=customer).json()["orders"] == before


def test_an_order_takes_its_lines_from_the_stock(scenario, customer):
    partner = scenario.partner_token()
    body = {"title": "Some", "price": {"amountMinor": "100", "currency": "EUR"}, "stock": "3"}
    product = scenario.call("POST", "/v1/products", body, partner, key=str(uuid.uuid4()), expect=201).json()

    scenario.place_order(customer, product, quantity=2)

    assert scenario.call("GET", f"/v1/products/{product['productId']}").json()["stock"] == "1"
