"""Shipping, tax and addresses: what is added to the products, what the buyer agreed to, and who sees where it is sent."""

import base64
import csv
import io
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.order.v1 import charge_pb2, charge_service_pb2, charge_service_pb2_grpc
from weft.order.v1.export_pb2 import EXPORT_FORMAT_CSV as CSV
from weft.order.v1.export_pb2 import ExportOrdersRequest
from weft.order.v1.money_pb2 import Money
from weft.order.v1.order_service_pb2 import ListOrdersRequest
from weft.order.v1.shipping_address_pb2 import ShippingAddress

from chassis import ids
from chassis.storage.database import Query
from chassis.storage.reencryption import reencrypt
from services.order.charges import current
from services.order.customers.repository import CustomerRepository
from services.order.domain.charges import Charge, ChargeTable, share
from services.order.domain.fulfilment import Fulfilment, OrderedLine
from services.order.domain.pricing import Line, Price
from services.order.domain.returns import Returns, ReturnState
from tests.harness import DATA_KEY, Harness, assert_refused
from tests.order.charges.calls import Row, address, charge, quote, shipping, tax
from tests.order.orders.calls import update
from tests.order.products.calls import update as update_product
from tests.order.shop import Shop, metadata

SHIPPING, TAX = charge_pb2.CHARGE_KIND_SHIPPING, charge_pb2.CHARGE_KIND_TAX


EVERYWHERE = shipping("World", 1999)
TABLE = [
    shipping("Post", 499, "AT", free_from=9000),
    EVERYWHERE,
    tax("USt", 200_000, "AT", taxes_shipping=True),
    tax("MWST", 81_000, "CH"),
]


def charges(order: Any) -> list[tuple[int, str, int]]:
    return [(made.kind, made.title, made.amount.amount_minor) for made in order.charges]


@given(st.integers(0, 10**17), st.integers(0, 1_000_000))
def test_a_share_is_rounded_half_to_even(amount: int, rate: int) -> None:
    assert share(amount, rate) == round(Fraction(amount * rate, 1_000_000))


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 10**12)), min_size=1, max_size=5), st.integers(0, 1_000_000)
)
def test_the_total_is_the_sum_of_lines_and_charges(pairs: list[tuple[int, int]], rate: int) -> None:
    lines = [Line(f"p{n}", "", units, price) for n, (units, price) in enumerate(pairs)]
    subtotal = sum(line.quantity * line.unit_price_minor for line in lines)
    rows = [Charge("SHIPPING", "", "", "EUR", 333), Charge("TAX", "", "", rate=rate, taxes_shipping=True)]
    made = ChargeTable(1, rows).apply(Price(lines, subtotal, "EUR"), "AT")
    tax = sum(line.tax_minor for line in made.lines) + share(333, rate)
    assert [applied.amount_minor for applied in made.charges] == [333, tax]
    assert (made.subtotal_minor, made.total_minor) == (subtotal, subtotal + 333 + tax)


async def test_an_order_costs_what_the_quote_says_wherever_it_is_sent(quiet_shop: Shop) -> None:
    ink, paper = await quiet_shop.product(price=1253), await quiet_shop.product(price=2105)
    await charge(quiet_shop, *TABLE)
    expected = {
        # 3 x 12.53 at 20 % is 7.518, 21.05 is 4.21, shipping 0.998
        "AT": (8176, [7518 // 10 + 1, 421], [(SHIPPING, "Post", 499), (TAX, "USt", 752 + 421 + 100)]),
        "CH": (8176, [304, 171], [(SHIPPING, "World", 1999), (TAX, "MWST", 475)]),
        "FR": (8176, [0, 0], [(SHIPPING, "World", 1999)]),
        "": (8176, [0, 0], [(SHIPPING, "World", 1999)]),
    }
    for region, (_, taxes, made) in expected.items():
        where = {"shipping_address": address(region)} if region else {}
        quoted = await quote(quiet_shop, (ink, 3), (paper, 1), **where)
        assert ([line.tax_minor for line in quoted.lines], charges(quoted)) == (taxes, made), region
        assert quoted.subtotal.amount_minor == 3 * 1253 + 2105
        assert quoted.total.amount_minor == 3 * 1253 + 2105 + sum(amount for _, _, amount in made)
        placed = await quiet_shop.order((ink, 3), (paper, 1), expected_total=quoted.total, **where)
        assert (placed.total, placed.subtotal, placed.charges, placed.lines) == (
            quoted.total, quoted.subtotal, quoted.charges, quoted.lines,
        )  # fmt: skip
        assert placed.shipping_address == where.get("shipping_address", ShippingAddress())
        assert await quiet_shop.get(placed.order_id) == placed
        assert (await quiet_shop.payment(placed.payment_id)).amount == placed.total
        if region == "AT":
            stream = quiet_shop.orders.ExportOrders(ExportOrdersRequest(format=CSV), metadata=metadata(quiet_shop.user))
            text = b"".join([message.data async for message in stream]).decode()
            sums = ("total_minor", "subtotal_minor", "shipping_minor", "tax_minor", "line_tax_minor", "recipient")
            rows = [[row[name] for name in sums] for row in csv.DictReader(io.StringIO(text, newline=""))]
            assert rows[:2] == [["7636", "5864", "499", "1273", tax, "Ada Markname"] for tax in ("752", "421")]
    free = await quote(quiet_shop, (ink, 8), shipping_address=address("AT"))
    assert charges(free)[0] == (SHIPPING, "Post", 0)
    francs = await quiet_shop.product(price=100, currency="CHF")
    assert charges(await quote(quiet_shop, (francs, 1), shipping_address=address("FR"))) == []


async def test_another_total_than_the_buyer_was_shown_is_refused_with_both(
    quiet_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ink = await quiet_shop.product(price=1000, stock=5)
    shown = (await quote(quiet_shop, (ink, 2))).total
    await quiet_shop.order((ink, 1), expected_total=Money(amount_minor=1000, currency="EUR"))
    await update_product(quiet_shop, mask=["price"], product_id=ink, price=Money(amount_minor=1001, currency="EUR"))
    both = {"expected_minor": "2000", "expected_currency": "EUR", "currency": "EUR"}
    await assert_refused(quiet_shop.order((ink, 2), expected_total=shown), "PRICE_CHANGED", total_minor="2002", **both)
    await charge(quiet_shop, EVERYWHERE)
    await assert_refused(quiet_shop.order((ink, 2), expected_total=shown), "PRICE_CHANGED", total_minor="4001", **both)
    francs = Money(amount_minor=4001, currency="CHF")
    with pytest.raises(Exception, match="4001 EUR now, and 4001 CHF was expected"):
        await quiet_shop.order((ink, 2), expected_total=francs)
    assert (await quiet_shop.stock(ink), await quiet_shop.count("SELECT count(*) FROM orders")) == (4, 1)
    # Another server has changed the table: nobody is refused because of what this one remembers.
    monkeypatch.setattr(current, "CACHE_TTL_S", 1e6)
    await quiet_shop.order((ink, 1))
    await quiet_shop.database.run(Query("INSERT INTO charge_tables VALUES (9, '[]', '', now())"))
    await quiet_shop.order((ink, 2), expected_total=Money(amount_minor=2002, currency="EUR"))


async def test_the_key_of_an_order_covers_address_and_expected_total(quiet_shop: Shop) -> None:
    ink = await quiet_shop.product(price=1000)
    more = {"shipping_address": address(), "expected_total": Money(amount_minor=1000, currency="EUR")}
    placed = await quiet_shop.order((ink, 1), key="k", **more)
    assert await quiet_shop.order((ink, 1), key="k", **more) == placed
    # As the release before has stored it, which knew of nothing personal in it.
    await quiet_shop.database.run(Query("UPDATE idempotency SET reply = %(plain)s"), plain=placed.SerializeToString())
    assert await quiet_shop.order((ink, 1), key="k", **more) == placed
    for changed in ({"shipping_address": address(recipient="Eve")}, {"expected_total": Money(currency="EUR")}):
        await assert_refused(quiet_shop.order((ink, 1), key="k", **{**more, **changed}), "IDEMPOTENCY_KEY_REUSED")


async def test_an_address_is_nowhere_in_the_clear(quiet_shop: Shop) -> None:
    ink = await quiet_shop.product()
    placed = await quiet_shop.order((ink, 1), shipping_address=address())
    await quiet_shop.cancel(placed.order_id, key="c")
    (listed,) = (await quiet_shop.orders.ListOrders(ListOrdersRequest(), metadata=metadata(quiet_shop.user))).orders
    assert listed.shipping_address == address()
    for table in ("orders", "idempotency", "outbox", "order_changes", "payment_work"):
        rows = str(await quiet_shop.database.all(Query(f"SELECT t::text AS t FROM {table} t")))
        assert len(rows) > 100, table
        assert not [mark for mark in ("Mark", "Wien") if mark in rows or mark.encode().hex() in rows], table
    assert await quiet_shop.count("SELECT count(*) FROM idempotency WHERE get_byte(reply, 0) = 1") == 2
    await CustomerRepository(quiet_shop.database).erase(quiet_shop.user_id, ids.new("usr"))
    assert await quiet_shop.count("SELECT count(*) FROM idempotency") == 0
    erased = await quiet_shop.get(placed.order_id, quiet_shop.operator)
    assert (erased.HasField("shipping_address"), erased.total) == (False, placed.total)


async def test_addresses_and_replies_are_encrypted_anew(quiet_shop: Shop, harness: Harness) -> None:
    ink = await quiet_shop.product()
    placed = await quiet_shop.order((ink, 1), key="k", shipping_address=address())
    old, keys = quiet_shop.app, {"k1": DATA_KEY, "k2": base64.b64encode(b"2" * 32).decode()}
    newest = harness.app("order", prefix=old.settings.database_prefix, data_keys=keys)
    await newest.database.open()
    async for _ in reencrypt(newest.database, newest.vault, newest.metadata, True):
        pass
    await newest.database.close()
    for column in ("shipping_address_sealed FROM orders", "reply FROM idempotency"):
        (row,) = await quiet_shop.database.all(Query(f"SELECT {column}"))
        assert newest.vault.key_of(row[0]) == "k2", column
    async with harness.running("order", prefix=old.settings.database_prefix, data_keys=keys, work=False) as running:
        shop = Shop(running, harness.issuer)
        shop.user = quiet_shop.user
        assert await shop.order((ink, 1), key="k", shipping_address=address()) == placed
        assert await shop.get(placed.order_id) == placed


async def test_an_order_is_sent_elsewhere_in_the_same_country(quiet_shop: Shop) -> None:
    ink = await quiet_shop.product()
    await charge(quiet_shop, *TABLE)
    placed, bare = await quiet_shop.order((ink, 1), shipping_address=address()), await quiet_shop.order((ink, 1))
    moved = await update(quiet_shop, placed.order_id, shipping_address=address(recipient="Bob Markname"))
    assert moved.shipping_address == address(recipient="Bob Markname")
    assert (moved.total, moved.charges, moved.lines) == (placed.total, placed.charges, placed.lines)
    assert await update(quiet_shop, placed.order_id, note="x") == await quiet_shop.get(placed.order_id)
    assert (await quiet_shop.get(placed.order_id)).shipping_address == moved.shipping_address
    stored = await quiet_shop.database.all(Query("SELECT o::text AS o FROM orders o"))
    assert not [row for row in stored if "Markname" in row.o or b"Markname".hex() in row.o]
    assert not [
        event for event in await quiet_shop.emitted(placed.order_id) if b"Markname" in event.SerializeToString()
    ]
    for order, asked in ((placed, address("CH")), (placed, None), (bare, address())):
        call = update(quiet_shop, order.order_id, "shipping_address", shipping_address=asked)
        await assert_refused(call, "SHIPPING_COUNTRY_FIXED", order_id=order.order_id)
    stranger = quiet_shop.issuer.user(ids.new("usr"))
    call = update(quiet_shop, placed.order_id, token=stranger, shipping_address=address())
    await assert_refused(call, "ORDER_NOT_FOUND")


def test_what_is_refunded_of_a_line_is_what_was_paid_for_it_with_tax() -> None:
    """Unit by unit or together: the last one takes the rest of the tax."""
    now, lines = datetime(2026, 1, 1, tzinfo=UTC), [OrderedLine("a", 7, 333, 466), OrderedLine("b", 1, 1, 1)]
    for parts in ([1] * 7, [7], [2, 5], [4, 3]):
        order = Fulfilment("ord_1", lines, returns=Returns("ord_1"))
        order.ship("shp_1", {}, "", "", now)
        order.deliver("", {}, now)
        refunds = []
        for part in parts:
            made = order.returns.request(f"rtn_{len(refunds)}", {"a": part}, order.delivered, "", now)
            order.returns.decide(made.return_id, ReturnState.APPROVED, "", now)
            order.returns.receive(made.return_id, {}, now)
            refunds.append(order.paid_minor({"a": part}))
        assert sum(refunds) == 7 * 333 + 466
        assert all(refund >= part * 333 for refund, part in zip(refunds, parts, strict=True))


async def test_operators_keep_the_table(quiet_shop: Shop) -> None:
    stub = charge_service_pb2_grpc.ChargeServiceStub(quiet_shop.running.channel)

    async def shown(**more: Any) -> Any:
        return await stub.ListCharges(
            charge_service_pb2.ListChargesRequest(**more), metadata=metadata(quiet_shop.operator)
        )

    assert (await shown()).etag == "0"
    made = await charge(quiet_shop, *TABLE, etag="0")
    assert (made.etag, [*made.charges]) == ("1", [EVERYWHERE, *TABLE[:1], *TABLE[2:]])
    assert await charge(quiet_shop, *TABLE, etag="1") == made  # nothing has changed
    assert await charge(quiet_shop, mask=()) == made
    first = await shown(page_size=3)
    second = await shown(page_size=3, page_token=first.next_page_token)
    assert [*first.charges, *second.charges] == [*made.charges]
    assert (first.total_size, second.next_page_token) == (4, "")
    assert (await charge(quiet_shop, EVERYWHERE)).etag == "2"
    await assert_refused(charge(quiet_shop, etag="1"), "ETAG_MISMATCH", etag="2")
    await assert_refused(shown(page_token=first.next_page_token), "PAGE_TOKEN_INVALID")
    assert (await charge(quiet_shop, EVERYWHERE, EVERYWHERE)).etag == "2", "the same row twice is one"
    for rows, field in (
        ([EVERYWHERE, shipping("World", 1)], "table.charges[1]"),
        ([Row(title="?")], "table.charges[0].charged"),
        ([shipping("Gold", 1, currency="XAU")], "table.charges[0].shipping.amount.currency"),
        ([shipping("Back", -1)], "table.charges[0].shipping.amount.amount_minor"),
        ([tax("All", 1_000_001)], "table.charges[0].tax.rate_millionths"),
    ):
        await assert_refused(charge(quiet_shop, *rows), "REQUEST_INVALID", violations={field: ""})
    for token in (quiet_shop.user, quiet_shop.partner("prt_a")):
        await assert_refused(charge(quiet_shop, token=token), "CALLER_NOT_ALLOWED")
    assert (await charge(quiet_shop)).charges == []
