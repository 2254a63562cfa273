"""What an order costs. Prices come from the catalogue; amounts are integers of the smallest unit, so nothing is rounded."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from chassis.errors import FailedPrecondition, RequestInvalid
from services.order.domain.product import OutOfStock, Product, ProductInactive, ProductNotFound

MOST_PIECES = 1000
"""Of one product in one order. 100 lines of 1,000 pieces at 10^12 each stay below 2^63."""


class CurrencyMixed(FailedPrecondition):
    """The products have prices in more than one currency: {currencies}."""


class Wanted(Protocol):
    """A line that is asked for."""

    @property
    def product_id(self) -> str: ...
    @property
    def quantity(self) -> int: ...


class Line(NamedTuple):
    """A priced line: one for each product."""

    product_id: str
    title: str
    quantity: int
    unit_price_minor: int


class Price(NamedTuple):
    """What an order costs: its lines in the order asked for, and their sum."""

    lines: list[Line]
    total_minor: int
    currency: str


def merge(lines: Iterable[Wanted]) -> dict[str, int]:
    """Pieces by product, in the order asked for. Raises `RequestInvalid` where a product's sum is too large."""
    wanted: dict[str, int] = {}
    violations = []
    for index, line in enumerate(lines):
        product_id = line.product_id
        pieces = wanted[product_id] = wanted.get(product_id, 0) + line.quantity
        if pieces > MOST_PIECES:
            violations.append(
                (
                    f"lines[{index}].quantity",
                    f"the lines of {product_id} add up to {pieces}; at most {MOST_PIECES} are allowed",
                )
            )
    if violations:
        raise RequestInvalid(violations=violations)
    return wanted


def price(wanted: Mapping[str, int], catalogue: Mapping[str, Product]) -> Price:
    """Price what is wanted. Raises `ProductNotFound`, `ProductInactive` or `CurrencyMixed`."""
    lines, total, currency = [], 0, ""
    for product_id, quantity in wanted.items():
        product = catalogue.get(product_id)
        if product is None:
            raise ProductNotFound(product_id=product_id)
        if not product.active:
            raise ProductInactive(product_id=product_id)
        if product.currency != currency:
            if currency:
                raise CurrencyMixed(
                    currencies=", ".join(sorted({catalogue[p].currency for p in wanted if p in catalogue}))
                )
            currency = product.currency
        unit = product.price_minor
        lines.append(Line(product_id, product.title, quantity, unit))
        total += unit * quantity
    return Price(lines, total, currency)


def refuse_shortage(wanted: Mapping[str, int], catalogue: Mapping[str, Product]) -> None:
    """Raise `OutOfStock` for the first product of which too few are left."""
    for product_id, quantity in wanted.items():
        left = catalogue[product_id].stock
        if left < quantity:
            raise OutOfStock(product_id=product_id, asked=str(quantity), left=str(left))
