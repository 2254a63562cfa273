"""The RPCs of orders: who may order what, for whom, and see what."""

import pytest
from weft.order.v1 import order_pb2
from weft.order.v1.order_service_pb2 import QuoteOrderRequest
from weft.user.v1 import user_pb2

from chassis import ids
from tests.harness import assert_refused
from tests.order.products.calls import update
from tests.order.shop import LINE, Shop, listed, metadata
from tests.order.users import Users
from tests.servers import until

NOBODYS = ids.new("ord")


def quote(shop: Shop, *lines: tuple[str, int]):
    request = QuoteOrderRequest(lines=[LINE(product_id=p, quantity=q) for p, q in lines])
    return shop.orders.QuoteOrder(request, metadata=metadata(shop.user))


async def test_a_quote_is_what_the_order_costs_and_changes_nothing(quiet_shop: Shop) -> None:
    ink, paper = await quiet_shop.product(price=1250, stock=3), await quiet_shop.product(price=2200)
    quoted = await quote(quiet_shop, (ink, 1), (paper, 2), (ink, 2))
    assert (quoted.total.amount_minor, quoted.total.currency, quoted.available) == (8150, "EUR", True)
    assert not (await quote(quiet_shop, (ink, 4))).available
    assert await quiet_shop.stock(ink) == 3
    placed = await quiet_shop.order((ink, 1), (paper, 2), (ink, 2))
    assert (placed.lines, placed.total) == (quoted.lines, quoted.total)


@pytest.mark.parametrize("call", [quote, Shop.order], ids=["quote", "order"])
@pytest.mark.parametrize(
    ("fault", "reason", "expected"),
    [
        ("unknown", "PRODUCT_NOT_FOUND", lambda product: {"product_id": product}),
        ("inactive", "PRODUCT_INACTIVE", lambda product: {"product_id": product}),
        ("francs", "CURRENCY_MIXED", lambda _: {"currencies": "CHF, EUR"}),
    ],
)
async def test_a_quote_and_an_order_are_refused_for_the_same_products(
    quiet_shop: Shop, call, fault: str, reason: str, expected
) -> None:
    ink = await quiet_shop.product()
    product = (
        ids.new("prd")
        if fault == "unknown"
        else await quiet_shop.product(currency="CHF" if fault == "francs" else "EUR")
    )
    if fault == "inactive":
        await update(quiet_shop, mask=["active"], product_id=product, active=False)
    await assert_refused(call(quiet_shop, (ink, 1), (product, 1)), reason, **expected(product))
    assert await quiet_shop.count("SELECT count(*) FROM orders") == 0


@pytest.mark.parametrize("call", [quote, Shop.order], ids=["quote", "order"])
async def test_the_lines_of_one_product_are_bounded_together(quiet_shop: Shop, call) -> None:
    ink = await quiet_shop.product()
    await assert_refused(
        call(quiet_shop, (ink, 600), (ink, 600)), "REQUEST_INVALID", violations={"lines[1].quantity": "add up to 1200"}
    )


async def test_an_order_of_nothing_is_refused_and_single_lines_may_be_free(quiet_shop: Shop) -> None:
    free, ink = await quiet_shop.product(price=0), await quiet_shop.product(price=1)
    await assert_refused(quote(quiet_shop, (free, 2)), "REQUEST_INVALID", violations={"lines": "costs at least 1"})
    await assert_refused(quiet_shop.order((free, 2)), "REQUEST_INVALID", violations={"lines": "costs at least 1"})
    assert (await quiet_shop.order((free, 2), (ink, 1))).total.amount_minor == 1


async def test_an_order_beyond_the_stock_changes_nothing_and_says_what_is_left(quiet_shop: Shop) -> None:
    plenty, few = await quiet_shop.product(stock=100), await quiet_shop.product(stock=2)
    await assert_refused(
        quiet_shop.order((plenty, 1), (few, 3)), "OUT_OF_STOCK", product_id=few, requested="3", available="2"
    )
    assert [await quiet_shop.stock(plenty), await quiet_shop.stock(few)] == [100, 2]
    for table in ("orders", "order_lines", "payments", "order_changes", "outbox", "payment_work"):
        assert await quiet_shop.count(f"SELECT count(*) FROM {table}") == 0, table


async def test_an_order_costs_what_the_catalogue_says_even_when_it_changed_unseen(quiet_shop: Shop) -> None:
    ink = await quiet_shop.product(price=100)
    assert (await quiet_shop.order((ink, 1))).total.amount_minor == 100
    await quiet_shop.count(  # as another replica would, behind this one's back
        "WITH u AS (UPDATE products SET price_minor = 120, version = version + 1 RETURNING 1) SELECT count(*) FROM u"
    )
    assert (await quiet_shop.order((ink, 2))).total.amount_minor == 240
    await quiet_shop.count(
        "WITH u AS (UPDATE products SET active = false, version = version + 1 RETURNING 1) SELECT count(*) FROM u"
    )
    await assert_refused(quiet_shop.order((ink, 1)), "PRODUCT_INACTIVE")
    await quiet_shop.count(
        "WITH u AS (UPDATE products SET active = true, version = version + 1 RETURNING 1) SELECT count(*) FROM u"
    )
    assert (await quiet_shop.order((ink, 1))).total.amount_minor == 120


async def test_users_order_for_themselves(quiet_shop: Shop) -> None:
    ink = await quiet_shop.product()
    for customer_id in ("", "me", quiet_shop.user_id):
        assert (await quiet_shop.order((ink, 1), customer_id=customer_id)).customer_id == quiet_shop.user_id
    other = ids.new("usr")
    await assert_refused(quiet_shop.order((ink, 1), customer_id=other), "CUSTOMER_NOT_FOUND", customer_id=other)


async def test_partners_order_for_customers_of_their_own(quiet_shop: Shop, users: Users) -> None:
    ink, partner = await quiet_shop.product(), quiet_shop.partner("prt_a")
    mine, others, closed, unknown = (ids.new("usr") for _ in range(4))
    users.add(mine, "prt_a")
    users.add(others, "prt_b")
    users.add(closed, "prt_a", user_pb2.USER_STATE_INACTIVE)
    placed = await quiet_shop.order((ink, 1), token=partner, customer_id=mine)
    assert (placed.customer_id, placed.partner_id) == (mine, "prt_a")
    for customer_id in (others, closed, unknown, "me"):
        await assert_refused(
            quiet_shop.order((ink, 1), token=partner, customer_id=customer_id),
            "CUSTOMER_NOT_FOUND",
            customer_id=customer_id,
        )
    await assert_refused(quiet_shop.order((ink, 1), token=partner), "CUSTOMER_REQUIRED")


async def test_a_customer_is_cached_and_a_new_one_is_found_immediately(quiet_shop: Shop, users: Users) -> None:
    ink, partner, late = await quiet_shop.product(), quiet_shop.partner("prt_a"), ids.new("usr")
    await assert_refused(quiet_shop.order((ink, 1), token=partner, customer_id=late), "CUSTOMER_NOT_FOUND")
    users.add(late, "prt_a")
    for _ in range(3):
        await quiet_shop.order((ink, 1), token=partner, customer_id=late)
    assert users.calls == 2


async def test_customers_of_concurrent_orders_are_asked_for_together(quiet_shop: Shop, users: Users) -> None:
    ink, partner = await quiet_shop.product(stock=100), quiet_shop.partner("prt_a")
    customers = [ids.new("usr") for _ in range(20)]
    for n, customer_id in enumerate(customers):
        users.add(customer_id, "prt_b" if n % 5 == 4 else "prt_a")
    users.gate.clear()

    async def asked(times: int) -> bool:
        return users.calls >= times

    calls = [quiet_shop.order((ink, 1), token=partner, customer_id=customers[0])]
    await until(lambda: asked(1), "the first to be asked for")
    calls += [quiet_shop.order((ink, 1), token=partner, customer_id=customer_id) for customer_id in customers[1:]]
    await until(lambda: asked(len(customers)), "those who wait too long to be asked for alone")
    users.gate.set()
    for n, (customer_id, call) in enumerate(zip(customers, calls, strict=True)):
        if n % 5 == 4:
            await assert_refused(call, "CUSTOMER_NOT_FOUND", customer_id=customer_id)
        else:
            assert (await call).customer_id == customer_id
    assert users.most > 1


async def test_an_order_does_not_wait_for_a_user_service_that_is_down(quiet_shop: Shop, users: Users) -> None:
    users.down = True
    ink = await quiet_shop.product()
    await assert_refused(
        quiet_shop.order((ink, 1), token=quiet_shop.partner("prt_a"), customer_id=ids.new("usr")), "SERVICE_UNAVAILABLE"
    )


async def test_an_external_reference_is_unique_for_a_partner_and_free_for_everyone_else(
    quiet_shop: Shop, users: Users
) -> None:
    ink, customer, elsewhere = await quiet_shop.product(), ids.new("usr"), ids.new("usr")
    users.add(customer, "prt_a")
    users.add(elsewhere, "prt_b")
    partner, other = quiet_shop.partner("prt_a"), quiet_shop.partner("prt_b")
    first = await quiet_shop.order((ink, 1), token=partner, customer_id=customer, external_reference="A 1")
    await quiet_shop.order((ink, 1), token=other, customer_id=elsewhere, external_reference="A 1")
    for _ in range(2):
        await quiet_shop.order((ink, 1), external_reference="A 1")
        await quiet_shop.order((ink, 1), token=partner, customer_id=customer)
    await assert_refused(
        quiet_shop.order((ink, 1), token=partner, customer_id=customer, external_reference="A 1"),
        "EXTERNAL_REFERENCE_TAKEN",
        external_reference="A 1",
    )
    assert await listed(quiet_shop, partner, external_reference="A 1") == [first.order_id]
    assert len(await listed(quiet_shop, quiet_shop.operator, external_reference="A 1")) == 4


async def test_a_repeated_call_gets_the_first_reply_and_makes_no_second_order(quiet_shop: Shop) -> None:
    ink = await quiet_shop.product(stock=1)
    own = {"basket": "7", "shelf": "2"}
    first = await quiet_shop.order((ink, 1), key="k", metadata=own)
    call = quiet_shop.order((ink, 1), key="k", metadata=dict(reversed(own.items())))
    assert await call == first, "although the stock is gone by now"
    headers = dict(await call.initial_metadata())
    assert (headers["idempotency-replayed"], headers["x-http-status"]) == ("true", "201")
    assert headers["location"] == f"/v1/orders/{first.order_id}"
    for units, other in ((2, own), (1, {**own, "shelf": "3"}), (1, {})):
        await assert_refused(quiet_shop.order((ink, units), key="k", metadata=other), "IDEMPOTENCY_KEY_REUSED")
    await assert_refused(
        quiet_shop.orders.CreateOrder(order_request(ink), metadata=metadata(quiet_shop.user)), "IDEMPOTENCY_KEY_MISSING"
    )


def order_request(product_id: str):
    from weft.order.v1.order_service_pb2 import CreateOrderRequest

    return CreateOrderRequest(lines=[LINE(product_id=product_id, quantity=1)], payment_method="pm_sandbox_ok")


async def test_orders_and_payments_of_others_are_not_found(quiet_shop: Shop, users: Users) -> None:
    ink, customer = await quiet_shop.product(), ids.new("usr")
    users.add(customer, "prt_a")
    partner, other = quiet_shop.partner("prt_a"), quiet_shop.partner("prt_b")
    stranger, buyer = quiet_shop.issuer.user(ids.new("usr")), quiet_shop.issuer.user(customer)
    mine = await quiet_shop.order((ink, 1))
    theirs = await quiet_shop.order((ink, 1), token=partner, customer_id=customer)
    for token, order in (
        (stranger, mine),
        (partner, mine),
        (stranger, theirs),
        (other, theirs),
        (quiet_shop.user, theirs),
    ):
        await assert_refused(quiet_shop.get(order.order_id, token), "ORDER_NOT_FOUND", order_id=order.order_id)
        await assert_refused(quiet_shop.cancel(order.order_id, token), "ORDER_NOT_FOUND")
        await assert_refused(
            quiet_shop.payment(order.payment_id, token), "PAYMENT_NOT_FOUND", payment_id=order.payment_id
        )
        assert order.order_id not in await listed(quiet_shop, token)
    for token, order in ((partner, theirs), (buyer, theirs), (quiet_shop.operator, theirs), (quiet_shop.user, mine)):
        assert await quiet_shop.get(order.order_id, token) == order
        assert (await quiet_shop.payment(order.payment_id, token)).order_id == order.order_id
        assert order.order_id in await listed(quiet_shop, token)
    await assert_refused(quiet_shop.get(NOBODYS, quiet_shop.operator), "ORDER_NOT_FOUND")


async def test_text_that_cannot_be_stored_is_refused_by_name(quiet_shop: Shop) -> None:
    ink = await quiet_shop.product()
    await assert_refused(
        quiet_shop.order((ink, 1), note="a\0b", external_reference="\0"),
        "REQUEST_INVALID",
        violations={"external_reference": "U+0000"},
    )
    placed = await quiet_shop.order((ink, 1))
    await assert_refused(
        quiet_shop.cancel(placed.order_id, reason="\0"), "REQUEST_INVALID", violations={"reason": "U+0000"}
    )


async def test_cancelling_releases_the_stock_once_and_emits_an_event(quiet_shop: Shop) -> None:
    ink, paper = await quiet_shop.product(stock=10), await quiet_shop.product(stock=5)
    placed = await quiet_shop.order((ink, 4), (paper, 5))
    cancelled = await quiet_shop.cancel(placed.order_id, key="c", reason="wrong colour")
    assert (cancelled.state, cancelled.payment_state, cancelled.reason, cancelled.etag) == (
        order_pb2.ORDER_STATE_CANCELLED,
        order_pb2.PAYMENT_STATE_VOIDED,
        "wrong colour",
        "2",
    )
    assert await quiet_shop.cancel(placed.order_id, key="c", reason="wrong colour") == cancelled, "the same key"
    await assert_refused(
        quiet_shop.cancel(placed.order_id), "ORDER_NOT_CANCELLABLE", order_id=placed.order_id, state="CANCELLED"
    )
    assert [await quiet_shop.stock(ink), await quiet_shop.stock(paper)] == [10, 5]
    assert await quiet_shop.events(placed.order_id) == [(1, "order.placed"), (2, "order.cancelled")]
    assert await quiet_shop.get(placed.order_id) == cancelled
