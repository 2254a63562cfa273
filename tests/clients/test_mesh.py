"""The client against the real mesh: through the edge, over TLS, in both flavours."""

import asyncio
import secrets
from typing import Any

import pytest
from weft.order.v1 import order_pb2
from weft_client import AsyncWeft, ClientCredentials, Password, Weft, errors

pytestmark = pytest.mark.e2e


def _partner(mesh: dict[str, Any]) -> dict[str, Any]:
    credentials = ClientCredentials(mesh["partner"]["client_id"], mesh["partner"]["client_secret"])
    return {"address": mesh["edge_tls"].removeprefix("https://"), "auth": credentials, "ca": mesh["ca"]}


async def _customer(weft: AsyncWeft) -> str:
    user = await weft.users.create_user(email=f"{secrets.token_hex(8)}@example.com", display_name="Ada")
    return user.user_id


async def _lines(weft: AsyncWeft) -> list[order_pb2.OrderLineInput]:
    made = await weft.products.create_product(title="Lamp", price={"amount_minor": 500, "currency": "EUR"}, stock=10)
    return [order_pb2.OrderLineInput(product_id=made.product_id, quantity=1)]


async def test_orders_are_watched_until_they_are_confirmed(mesh: dict[str, Any]) -> None:
    async with AsyncWeft(**_partner(mesh)) as weft:
        customer, lines = await _customer(weft), await _lines(weft)

        async def watch() -> str:
            async with weft.orders.watch_orders(timeout=60) as changes:
                async for change in changes:
                    if change.order.customer_id == customer and change.order.state == order_pb2.ORDER_STATE_CONFIRMED:
                        return change.order.order_id
            return ""

        watcher, placed = asyncio.create_task(watch()), set[str]()
        while not watcher.done():  # the first may be confirmed before the stream is open
            order = await weft.orders.create_order(customer_id=customer, lines=lines, payment_method="pm_sandbox_ok")
            assert order.total.amount_minor == 500
            placed.add(order.order_id)
            await asyncio.wait([watcher], timeout=5)
        confirmed = watcher.result()
        assert confirmed in placed
        listed = weft.orders.list_orders(customer_id=customer, states=["CONFIRMED"])
        assert confirmed in [found.order_id async for found in listed]


async def test_a_key_makes_one_order_of_many_calls(mesh: dict[str, Any]) -> None:
    async with AsyncWeft(**_partner(mesh)) as weft:
        customer, lines = await _customer(weft), await _lines(weft)
        key = secrets.token_hex(8)
        orders = await asyncio.gather(
            *(
                weft.orders.create_order(
                    customer_id=customer, lines=lines, payment_method="pm_sandbox_ok", idempotency_key=key
                )
                for _ in range(10)
            )
        )
        assert len({order.order_id for order in orders}) == 1
        with pytest.raises(errors.IdempotencyKeyReused):
            await weft.orders.create_order(
                customer_id=customer, lines=lines, payment_method="pm_sandbox_other", idempotency_key=key
            )


def test_errors_of_service_and_edge_are_typed(mesh: dict[str, Any]) -> None:
    options = _partner(mesh)
    with Weft(**options) as weft:
        with pytest.raises(errors.OrderNotFound) as missing:
            weft.orders.get_order(order_id="ord_01k00000000000000000000000")
        assert missing.value.order_id == "ord_01k00000000000000000000000"
        with pytest.raises(errors.RequestInvalid) as invalid:
            weft.orders.get_order(order_id="malformed")
        assert [violation.field for violation in invalid.value.violations] == ["order_id"]
        with pytest.raises(errors.CallerNotAllowed):
            weft.partners.list_partners().page()
    with Weft(options["address"], ca=mesh["ca"]) as weft:
        with pytest.raises(errors.TokenMissing) as refused:
            weft.orders.list_orders().page()
        assert refused.value.request_id
        assert weft.products.list_products(page_size=1).page().products
    wrong = ClientCredentials(mesh["partner"]["client_id"], "wrong")
    with Weft(**{**options, "auth": wrong}) as weft, pytest.raises(errors.Unauthenticated, match="token endpoint"):
        weft.orders.list_orders().page()


def test_a_person_signs_in_by_the_client(mesh: dict[str, Any]) -> None:
    operator = Password(mesh["operator"]["email"], mesh["operator"]["password"])
    with Weft(**{**_partner(mesh), "auth": operator}) as weft:
        assert weft.users.get_user(user_id="me").email == mesh["operator"]["email"]
