"""One key makes one order, whatever the callers do."""

import asyncio
import uuid

import httpx
import pytest

from tests.edge.protocols import assert_refusal

pytestmark = pytest.mark.e2e


async def test_fifty_parallel_requests_with_one_key_make_one_order(mesh, scenario):
    partner = scenario.partner_token()
    own = scenario.partner_customer(partner)
    product = scenario.products()[-1]["productId"]
    body = {
        "customerId": own.user_id,
        "lines": [{"productId": product, "quantity": 1}],
        "paymentMethod": "pm_sandbox_ok",
    }
    headers = {"authorization": f"Bearer {partner.token}", "idempotency-key": str(uuid.uuid4())}

    async with httpx.AsyncClient(base_url=mesh["edge"], timeout=30, limits=httpx.Limits(max_connections=50)) as http:
        replies = await asyncio.gather(*(http.post("/v1/orders", json=body, headers=headers) for _ in range(50)))

    assert {reply.status_code for reply in replies} == {201}
    assert len({reply.text for reply in replies}) == 1
    assert [reply.headers.get("idempotency-replayed") for reply in replies].count(None) == 1
    listed = scenario.call("GET", f"/v1/orders?customerId={own.user_id}", account=partner).json()["orders"]
    assert [order["orderId"] for order in listed] == [replies[0].json()["orderId"]]


async def test_a_key_with_another_body_is_refused_by_name(scenario, customer):
    product, key = scenario.products()[-1], str(uuid.uuid4())
    placed = scenario.place_order(customer, product, key=key)

    body = {"lines": [{"productId": product["productId"], "quantity": 2}], "paymentMethod": "pm_sandbox_ok"}
    refused = scenario.call("POST", "/v1/orders", body, customer, key=key, expect=None)

    assert_refusal(refused, "IDEMPOTENCY_KEY_REUSED")
    again = scenario.place_order(customer, product, key=key)
    assert again.order == placed.order
