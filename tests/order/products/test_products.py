"""Products are made, read, updated and archived."""

from typing import Any

import pytest
from weft.api.v1 import mode_pb2
from weft.order.v1.money_pb2 import Money
from weft.order.v1.product_pb2 import Product
from weft.order.v1.product_service_pb2 import (
    CreateProductRequest,
    GetProductRequest,
    ListStockAdjustmentsRequest,
    UpdateProductRequest,
)

from chassis import ids
from chassis.storage.database import Query
from tests.harness import assert_refused
from tests.order.products.calls import adjust, archive, titles, update
from tests.order.shop import Shop, metadata

NOBODYS = ids.new("prd")


async def test_a_product_is_read_by_anyone_as_it_was_made(quiet_shop: Shop) -> None:
    request = CreateProductRequest(title="Ink", price=Money(amount_minor=1250, currency="EUR"), stock=7)
    call = quiet_shop.products.CreateProduct(request, metadata=metadata(quiet_shop.operator))
    made = await call
    headers = dict(await call.initial_metadata())
    assert (headers["x-http-status"], headers["location"]) == ("201", f"/v1/products/{made.product_id}")
    assert made.create_time == made.update_time
    expected = Product(
        title="Ink",
        price=request.price,
        stock=7,
        active=True,
        etag="1",
        mode=mode_pb2.MODE_LIVE,
        product_id=made.product_id,
    )
    expected.create_time.CopyFrom(made.create_time)
    expected.update_time.CopyFrom(made.update_time)
    assert made == expected
    assert await quiet_shop.products.GetProduct(GetProductRequest(product_id=made.product_id)) == made


async def test_a_repeated_creation_makes_one_product(quiet_shop: Shop) -> None:
    request = CreateProductRequest(title="Ink", price=Money(amount_minor=1, currency="EUR"))
    first = await quiet_shop.products.CreateProduct(request, metadata=metadata(quiet_shop.operator, "k"))
    again = await quiet_shop.products.CreateProduct(request, metadata=metadata(quiet_shop.operator, "k"))
    assert first == again
    assert await quiet_shop.count("SELECT count(*) FROM products") == 1


async def test_an_unknown_product_is_not_found(quiet_shop: Shop) -> None:
    await assert_refused(
        quiet_shop.products.GetProduct(GetProductRequest(product_id=NOBODYS)), "PRODUCT_NOT_FOUND", product_id=NOBODYS
    )


async def test_an_update_changes_the_fields_of_its_mask(quiet_shop: Shop) -> None:
    product_id = await quiet_shop.product(price=100)
    changed = await update(
        quiet_shop,
        mask=["active"],
        product_id=product_id,
        title="Ignored",
        price=Money(amount_minor=1, currency="CHF"),
        active=False,
        etag="1",
    )
    assert (changed.title, changed.price.amount_minor, changed.active, changed.etag) == ("Ink", 100, False, "2")
    changed = await update(quiet_shop, product_id=product_id, title="Blue ink", active=True)
    assert (changed.title, changed.price.amount_minor, changed.active, changed.etag) == ("Blue ink", 100, True, "3")
    changed = await update(quiet_shop, product_id=product_id, title="x", price=Money(amount_minor=5, currency="CHF"))
    assert (changed.price.amount_minor, changed.price.currency, changed.active) == (5, "CHF", True)
    assert changed == await quiet_shop.products.GetProduct(GetProductRequest(product_id=product_id))
    assert await update(quiet_shop, product_id=product_id) == changed, "nothing was named, nothing changes"


async def test_without_a_mask_an_update_changes_the_fields_present_false_included(quiet_shop: Shop) -> None:
    product_id = await quiet_shop.product(price=100)
    changed = await update(quiet_shop, product_id=product_id, active=False)
    assert (changed.title, changed.price.amount_minor, changed.active) == ("Ink", 100, False)
    assert (await update(quiet_shop, product_id=product_id, mask=[], active=True)).active
    call = update(quiet_shop, product_id=product_id, title="")
    await assert_refused(call, "REQUEST_INVALID", violations={"product.title": "at least 1 char"})


async def test_a_price_alone_can_be_changed(quiet_shop: Shop) -> None:
    product_id = await quiet_shop.product(price=100)
    changed = await update(
        quiet_shop, mask=["price"], product_id=product_id, price=Money(amount_minor=7, currency="EUR")
    )
    assert (changed.title, changed.price.amount_minor) == ("Ink", 7)


async def test_an_update_with_a_stale_etag_is_refused(quiet_shop: Shop) -> None:
    product_id = await quiet_shop.product()
    await update(quiet_shop, product_id=product_id, title="Second")
    await assert_refused(update(quiet_shop, product_id=product_id, title="Third", etag="1"), "ETAG_MISMATCH", etag="2")


@pytest.mark.parametrize(
    ("mask", "fields", "violations"),
    [
        (
            ["stock", "title"],
            {"title": "x", "stock": 9},
            {"update_mask": "must name only title, price, active, image_urls"},
        ),
        (["price"], {"title": "x"}, {"product.price": "must be given, as it is updated"}),
    ],
)
async def test_an_update_of_the_wrong_fields_is_refused_by_name(
    quiet_shop: Shop, mask: list[str], fields: dict[str, Any], violations: dict[str, str]
) -> None:
    call = update(quiet_shop, mask=mask, product_id=await quiet_shop.product(), **fields)
    await assert_refused(call, "REQUEST_INVALID", violations=violations)


async def test_products_of_others_are_not_found_by_changes(quiet_shop: Shop) -> None:
    mine, other = quiet_shop.partner("prt_a"), quiet_shop.partner("prt_b")
    own, house = await quiet_shop.product(token=mine, stock=5), await quiet_shop.product()
    for token, product_id in ((other, own), (mine, house), (quiet_shop.operator, NOBODYS)):
        for call in (
            update(quiet_shop, token, product_id=product_id, title="x"),
            adjust(quiet_shop, product_id, 1, token),
            archive(quiet_shop, product_id, token),
            quiet_shop.products.ListStockAdjustments(
                ListStockAdjustmentsRequest(product_id=product_id), metadata=metadata(token)
            ),
        ):
            await assert_refused(call, "PRODUCT_NOT_FOUND", product_id=product_id)
    assert (await update(quiet_shop, mine, product_id=own, title="Mine")).title == "Mine"
    assert (await adjust(quiet_shop, own, -5, mine)).stock == 0
    assert (await adjust(quiet_shop, own, 2)).stock == 2, "an operator may change all"


async def test_customers_may_not_change_the_catalogue(quiet_shop: Shop) -> None:
    product_id = await quiet_shop.product()
    for call in (
        adjust(quiet_shop, product_id, 1, quiet_shop.user),
        update(quiet_shop, quiet_shop.user, product_id=product_id),
    ):
        await assert_refused(call, "CALLER_NOT_ALLOWED")
    await assert_refused(quiet_shop.products.UpdateProduct(UpdateProductRequest()), "TOKEN_MISSING")


async def test_text_that_cannot_be_stored_is_refused_by_name(quiet_shop: Shop) -> None:
    request = CreateProductRequest(title="a\0b", price=Money(amount_minor=1, currency="EUR"))
    await assert_refused(
        quiet_shop.products.CreateProduct(request, metadata=metadata(quiet_shop.operator)),
        "REQUEST_INVALID",
        violations={"title": "U+0000"},
    )
    product_id = await quiet_shop.product()
    await assert_refused(
        update(quiet_shop, product_id=product_id, title="a\0b"),
        "REQUEST_INVALID",
        violations={"product.title": "U+0000"},
    )
    assert (await quiet_shop.database.one(Query("SELECT title FROM products"))).title == "Ink"


@pytest.mark.parametrize("code", ["ZZZ", "XXX", "XTS", "XAU", "DEM", "CLF", "XDR"])
async def test_a_price_in_an_unknown_currency_is_refused(quiet_shop: Shop, code: str) -> None:
    price = Money(amount_minor=1, currency=code)
    ink = await quiet_shop.product()
    create = CreateProductRequest(title="Ink", price=price)
    for call, field in (
        (quiet_shop.products.CreateProduct(create, metadata=metadata(quiet_shop.operator)), "price.currency"),
        (update(quiet_shop, product_id=ink, price=price), "product.price.currency"),
    ):
        await assert_refused(call, "REQUEST_INVALID", violations={field: ""})
    assert await quiet_shop.count("SELECT count(*) FROM products WHERE currency <> 'EUR'") == 0


async def test_every_current_currency_is_accepted(quiet_shop: Shop) -> None:
    for code in ("EUR", "JPY", "KWD", "XOF", "XCG", "CHF"):
        await quiet_shop.product(currency=code)


async def test_an_archived_product_is_not_ordered_and_its_orders_keep_what_they_have(quiet_shop: Shop) -> None:
    ink = await quiet_shop.product(price=100, stock=5)
    placed = await quiet_shop.order((ink, 2))
    await update(quiet_shop, product_id=ink, title="Blue ink", price=Money(amount_minor=900, currency="CHF"))
    archived = await archive(quiet_shop, ink, key="k")
    assert archived == await archive(quiet_shop, ink, key="k")
    assert (archived.active, archived.etag, archived.archive_time) == (False, "3", archived.update_time)
    await assert_refused(quiet_shop.order((ink, 1)), "PRODUCT_INACTIVE", product_id=ink)
    for call in (archive(quiet_shop, ink), update(quiet_shop, product_id=ink, active=True)):
        await assert_refused(call, "PRODUCT_ARCHIVED", product_id=ink)
    assert (await quiet_shop.get(placed.order_id)).lines == placed.lines
    assert (placed.lines[0].title, placed.lines[0].unit_price) == ("Ink", Money(amount_minor=100, currency="EUR"))
    await quiet_shop.cancel(placed.order_id)
    assert await quiet_shop.stock(ink) == 5
    assert await titles(quiet_shop) == []
    assert await titles(quiet_shop, show_archived=True) == ["Blue ink"]


async def test_images_are_https_addresses_and_few(quiet_shop: Shop) -> None:
    urls = [f"https://images.example.com:8443/{n}.png?w=1&h=2" for n in range(10)]
    request = CreateProductRequest(title="Ink", price=Money(amount_minor=1, currency="EUR"), image_urls=urls)
    made = await quiet_shop.products.CreateProduct(request, metadata=metadata(quiet_shop.operator))
    assert made.image_urls == urls
    assert (await update(quiet_shop, product_id=made.product_id, title="Pen")).image_urls == urls
    assert (await update(quiet_shop, product_id=made.product_id, image_urls=urls[:1])).image_urls == urls[:1]
    assert not (await update(quiet_shop, product_id=made.product_id, mask=["image_urls"])).image_urls
    for bad in (
        "http://example.com/a.png",
        "https://me:pw@example.com/",
        "https://",
        "javascript:alert(1)",
        "https://a/ b",
        'https://a/"><script>',
    ):
        call = update(quiet_shop, product_id=made.product_id, image_urls=[bad])
        await assert_refused(call, "REQUEST_INVALID", violations={"product.image_urls[0]": ""})
    call = update(quiet_shop, product_id=made.product_id, image_urls=["https://a.example"] * 11)
    await assert_refused(call, "REQUEST_INVALID", violations={"product.image_urls": "at most 10 items"})
