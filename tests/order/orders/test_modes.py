"""Orders in TEST: not to be seen in LIVE, nor the other way round, and without an effect on LIVE's stock."""

import pytest
from weft.api.v1.event_pb2 import Event
from weft.api.v1.mode_pb2 import MODE_LIVE, MODE_TEST
from weft.order.v1 import order_pb2, order_service_pb2, payment_service_pb2, product_service_pb2

from chassis import ids
from chassis.storage.database import Query
from tests.harness import Harness, assert_refused
from tests.order import users as order_users
from tests.order.shop import SCOPES, Shop, metadata
from tests.servers import until


class Company:
    """A partner with a customer and a token in each mode."""

    def __init__(self, shop: Shop, known: order_users.Users) -> None:
        self.shop = shop
        self.partner_id = ids.new("prt")
        self.customers = {mode: ids.new("usr") for mode in ("LIVE", "TEST")}
        self.tokens = {mode: shop.issuer.partner(self.partner_id, SCOPES, mode=mode) for mode in ("LIVE", "TEST")}
        for mode, value in (("LIVE", MODE_LIVE), ("TEST", MODE_TEST)):
            known.add(self.customers[mode], self.partner_id, mode=value)

    def order(self, mode: str, product: str, quantity: int = 1, **more):
        named = {"customer_id": self.customers[mode], **more}
        return self.shop.order((product, quantity), token=self.tokens[mode], **named)


@pytest.fixture
async def company(harness: Harness):
    known = order_users.Users()
    async with (
        order_users.serving(known, harness.certificates) as address,
        harness.running("order", peers={"user": [address]}) as running,
    ):
        yield Company(Shop(running, harness.issuer), known)


async def test_an_order_exists_in_its_own_mode_only(company: Company) -> None:
    shop = company.shop
    product = await shop.product(stock=50)
    made = {mode: await company.order(mode, product, external_reference="r-1") for mode in ("LIVE", "TEST")}
    assert [made[mode].mode for mode in ("LIVE", "TEST")] == [MODE_LIVE, MODE_TEST]
    for mode, other in (("LIVE", "TEST"), ("TEST", "LIVE")):
        token, hidden = company.tokens[mode], made[other]
        assert (await shop.get(made[mode].order_id, token)).order_id == made[mode].order_id
        await assert_refused(shop.get(hidden.order_id, token), "ORDER_NOT_FOUND", order_id=hidden.order_id)
        await assert_refused(shop.cancel(hidden.order_id, token), "ORDER_NOT_FOUND", order_id=hidden.order_id)
        await assert_refused(shop.payment(hidden.payment_id, token), "PAYMENT_NOT_FOUND", payment_id=hidden.payment_id)
        listed = await shop.orders.ListOrders(order_service_pb2.ListOrdersRequest(), metadata=metadata(token))
        assert [order.order_id for order in listed.orders] == [made[mode].order_id]
        paid = await shop.payments.ListPayments(payment_service_pb2.ListPaymentsRequest(), metadata=metadata(token))
        assert [(p.order_id, p.mode) for p in paid.payments] == [(made[mode].order_id, made[mode].mode)]
        stranger = company.order(mode, product, customer_id=company.customers[other])
        await assert_refused(stranger, "CUSTOMER_NOT_FOUND", customer_id=company.customers[other])
        await assert_refused(
            company.order(mode, product, external_reference="r-1"), "EXTERNAL_REFERENCE_TAKEN", external_reference="r-1"
        )
    seen = {mode: (await shop.get(order.order_id, shop.operator)).mode for mode, order in made.items()}
    assert seen == {"LIVE": MODE_LIVE, "TEST": MODE_TEST}
    rows = await shop.database.all(Query("SELECT payload FROM outbox WHERE kind = 'order.placed' ORDER BY id"))
    events = [Event.FromString(row.payload) for row in rows]
    assert {event.aggregate_id: event.mode for event in events} == {o.order_id: o.mode for o in made.values()}


async def test_an_order_in_test_is_paid_in_the_sandbox_and_leaves_the_stock_of_live(company: Company) -> None:
    shop = company.shop
    product = await shop.product(stock=5)
    order = await company.order("TEST", product, 5)

    async def captured() -> bool:
        found = await shop.get(order.order_id, company.tokens["TEST"])
        return bool(found.payment_state == order_pb2.PAYMENT_STATE_CAPTURED)

    await until(captured, "the payment to be captured")
    assert await shop.stock(product) == 5
    await shop.cancel((await company.order("TEST", product, 5)).order_id, company.tokens["TEST"])
    assert await shop.stock(product) == 5
    await assert_refused(
        company.order("TEST", product, 6), "OUT_OF_STOCK", product_id=product, requested="6", available="5"
    )


async def test_a_product_of_test_is_sold_and_changed_in_test_only(company: Company) -> None:
    shop, tokens = company.shop, company.tokens
    product = await shop.product(stock=5, token=tokens["TEST"])
    await assert_refused(company.order("LIVE", product), "PRODUCT_NOT_FOUND", product_id=product)
    adjust = product_service_pb2.AdjustStockRequest(product_id=product, delta=1, reason="found")
    for token, reason in ((tokens["LIVE"], "PRODUCT_NOT_FOUND"), (tokens["TEST"], "")):
        call = shop.products.AdjustStock(adjust, metadata=metadata(token, ids.new("key")))
        if reason:
            await assert_refused(call, reason, product_id=product)
        else:
            await call
    order = await company.order("TEST", product, 2)
    assert await shop.stock(product) == 4
    await shop.cancel(order.order_id, tokens["TEST"])
    assert await shop.stock(product) == 6
    for mode, listed in ((MODE_LIVE, False), (MODE_TEST, True)):
        reply = await shop.products.ListProducts(product_service_pb2.ListProductsRequest(mode=mode, page_size=1000))
        assert (product in [found.product_id for found in reply.products]) is listed
