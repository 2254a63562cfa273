"""What an order costs, without a database."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.order.v1.order_pb2 import OrderLineInput

from chassis.errors import RequestInvalid
from services.order.domain.pricing import CurrencyMixed, Line, merge, price, refuse_shortage
from services.order.domain.product import OutOfStock, Product, ProductInactive, ProductNotFound

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def product(
    product_id: str, price_minor: int = 100, currency: str = "EUR", stock: int = 10, active: bool = True
) -> Product:
    return Product(product_id, "", product_id.title(), price_minor, currency, stock, active, 1, NOW, NOW)


def lines(*pairs: tuple[str, int]) -> list[OrderLineInput]:
    return [OrderLineInput(product_id=p, quantity=q) for p, q in pairs]


def test_lines_of_one_product_are_merged_at_the_position_of_the_first() -> None:
    assert list(merge(lines(("b", 1), ("a", 2), ("b", 3))).items()) == [("b", 4), ("a", 2)]


def test_a_merged_quantity_beyond_the_bound_is_refused_at_the_line_that_exceeds_it() -> None:
    with pytest.raises(RequestInvalid) as caught:
        merge(lines(("a", 600), ("b", 1), ("a", 600)))
    assert caught.value.violations == (
        ("lines[2].quantity", "the lines of a add up to 1200; at most 1000 are allowed"),
    )


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 100)), min_size=1, max_size=10))
def test_the_sum_is_that_of_the_lines(pairs: list[tuple[str, int]]) -> None:
    prices = {name: product(name, price_minor=ord(name)) for name in "abcdef"}
    priced = price(merge(lines(*pairs)), prices)
    assert priced.total_minor == sum(ord(name) * pieces for name, pieces in pairs)
    assert priced.total_minor == sum(line.unit_price_minor * line.quantity for line in priced.lines)
    assert len({line.product_id for line in priced.lines}) == len(priced.lines)


def test_the_largest_order_fits_64_bits() -> None:
    products = {f"p{n}": product(f"p{n}", price_minor=10**12) for n in range(100)}
    assert price(dict.fromkeys(products, 1000), products).total_minor < 2**63


def test_a_price_names_title_and_unit_price() -> None:
    assert price({"a": 2}, {"a": product("a", 150)}) == ([Line("a", "A", 2, 150)], 300, "EUR", ())


def test_what_cannot_be_priced_is_refused_by_name() -> None:
    with pytest.raises(ProductNotFound, match="no product a"):
        price({"a": 1}, {})
    with pytest.raises(ProductInactive) as inactive:
        price({"a": 1}, {"a": product("a", active=False)})
    assert inactive.value.metadata == {"product_id": "a"}
    with pytest.raises(CurrencyMixed) as mixed:
        price({"a": 1, "b": 1}, {"a": product("a"), "b": product("b", currency="CHF")})
    assert mixed.value.metadata == {"currencies": "CHF, EUR"}
    assert (mixed.value.domain, mixed.value.reason) == ("weft.order.v1", "CURRENCY_MIXED")


def test_a_shortage_says_which_product_how_many_and_how_many_are_left() -> None:
    refuse_shortage({"a": 10}, {"a": product("a", stock=10)})
    with pytest.raises(OutOfStock) as short:
        refuse_shortage({"a": 1, "b": 11}, {"a": product("a"), "b": product("b")})
    assert short.value.metadata == {"product_id": "b", "requested": "11", "available": "10"}
