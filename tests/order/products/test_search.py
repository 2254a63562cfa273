"""Products are listed, and found by words and filters."""

import pytest
from weft.order.v1.product_service_pb2 import (
    ListProductsRequest,
)

from chassis import ids
from services.order.products import search_repository
from tests.harness import assert_refused
from tests.order.products.calls import titles, update
from tests.order.shop import Shop


async def test_products_are_listed_newest_first_in_pages(quiet_shop: Shop) -> None:
    made = [await quiet_shop.product() for _ in range(5)]
    listed, token = [], ""
    while True:
        page = await quiet_shop.products.ListProducts(ListProductsRequest(page_size=2, page_token=token))
        listed += [product.product_id for product in page.products]
        assert len(page.products) <= 2
        token = page.next_page_token
        if not token:
            break
    assert listed == sorted(made, reverse=True)


async def test_products_are_found_by_the_words_of_their_titles_and_by_filters(quiet_shop: Shop) -> None:
    partner = ids.new("prt")
    await quiet_shop.product(title="Blue ink, 30ml", token=quiet_shop.partner(partner))
    await quiet_shop.product(title="Blueprint_paper", currency="CHF")
    red = await quiet_shop.product(title="Ink: RED & Öl (100%)")
    await update(quiet_shop, product_id=red, active=False)
    for filters, expected in {
        ("query", "blue"): ["Blue ink, 30ml", "Blueprint_paper"],
        ("query", "INK blu"): ["Blue ink, 30ml"],
        ("query", "30"): ["Blue ink, 30ml"],
        ("query", "paper"): ["Blueprint_paper"],
        ("query", "ÖL"): ["Ink: RED & Öl (100%)"],
        ("query", "lue"): [],
        ("query", "b b b b b b b b nothing"): ["Blue ink, 30ml", "Blueprint_paper"],
        ("query", "' | !& <-> :* \\ %"): [],
        ("query", "ink' | 'blue"): ["Blue ink, 30ml"],
        ("active", False): ["Ink: RED & Öl (100%)"],
        ("active", True): ["Blue ink, 30ml", "Blueprint_paper"],
        ("currency", "CHF"): ["Blueprint_paper"],
        ("partner_id", partner): ["Blue ink, 30ml"],
    }.items():
        assert await titles(quiet_shop, **dict([filters])) == expected, filters
    assert await titles(quiet_shop, query="ink", active=True, partner_id=partner, currency="EUR") == ["Blue ink, 30ml"]
    page = await quiet_shop.products.ListProducts(ListProductsRequest(page_size=1, query="blue"))
    other = ListProductsRequest(page_size=1, query="ink", page_token=page.next_page_token)
    await assert_refused(quiet_shop.products.ListProducts(other), "PAGE_TOKEN_INVALID")


async def test_a_search_reads_so_many_products_and_no_more(quiet_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_repository, "MAX_READ", 3)
    monkeypatch.setattr(search_repository, "MAX_FOUND", 2)
    for title in ("Rare", *(f"Ink {n}" for n in range(4)), *(f"Pen {n}" for n in range(5))):
        await quiet_shop.product(title=title)

    async def pages(query: str, size: int = 2) -> list[list[str]]:
        found, token = [], None
        while token != "":
            request = ListProductsRequest(query=query, page_size=size, page_token=token or "")
            page = await quiet_shop.products.ListProducts(request)
            found.append([product.title for product in page.products])
            token = page.next_page_token
        return found

    assert await pages("rare") == [["Rare"]], "by the index"
    assert await pages("pen") == [["Pen 4", "Pen 3"], ["Pen 2", "Pen 1"], ["Pen 0"], [], []]
    assert await pages("ink") == [[], ["Ink 3"], ["Ink 2", "Ink 1"], ["Ink 0"]], "too many for it: as far as was read"
    assert await pages("none") == [[]]
