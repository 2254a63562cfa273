"""The price of an order. Prices come from the catalogue; amounts are integers in the smallest unit; `charges` rounds taxes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from chassis.errors import FailedPrecondition, RequestInvalid
from services.order.domain.product import OutOfStock, Product, ProductInactive, ProductNotFound

MAX_UNITS_PER_PRODUCT = 1000
"""In one order. 100 lines of 1,000 units at 10^12 each stay below 2^63."""


class CurrencyMixed(FailedPrecondition):
    """The products have prices in more than one currency: {currencies}."""


class PriceChanged(FailedPrecondition):
    """The total is {total_minor} {currency} now, and {expected_minor} {expected_currency} was expected."""


class RequestedLine(Protocol):
    """A product and how many units of it."""

    @property
    def product_id(self) -> str: ...
    @property
    def quantity(self) -> int: ...


class Line(NamedTuple):
    """A priced line; one for each product. `tax_minor` is the tax on all of its units."""

    product_id: str
    title: str
    quantity: int
    unit_price_minor: int
    tax_minor: int = 0


class AppliedCharge(NamedTuple):
    """Shipping or tax of an order: a line beside those of its products. `rate`: of tax, in millionths."""

    kind: str
    title: str
    amount_minor: int
    rate: int = 0


class Price(NamedTuple):
    """The lines in the order requested, the charges, and the sum of both."""

    lines: list[Line]
    total_minor: int
    currency: str
    charges: Sequence[AppliedCharge] = ()

    @property
    def subtotal_minor(self) -> int:
        """The sum of the lines."""
        return self.total_minor - sum(charge.amount_minor for charge in self.charges)

    def payable(self) -> "Price":
        """The price itself. Raises `RequestInvalid` for nothing, which no provider collects."""
        if self.total_minor <= 0:
            raise RequestInvalid(violations=[("lines", "cost nothing in all; an order costs at least 1")])
        return self

    def require(self, expected: tuple[int, str] | None) -> "Price":
        """The price itself. Raises `PriceChanged` where the buyer expects another total; None expects nothing."""
        if expected and expected != (self.total_minor, self.currency):
            raise PriceChanged(
                expected_minor=str(expected[0]),
                expected_currency=expected[1],
                total_minor=str(self.total_minor),
                currency=self.currency,
            )
        return self


def merge(lines: Iterable[RequestedLine]) -> dict[str, int]:
    """Units by product, in the order requested. Raises `RequestInvalid` if the sum for a product is too large."""
    quantities: dict[str, int] = {}
    violations = []
    for index, line in enumerate(lines):
        product_id = line.product_id
        quantity = quantities[product_id] = quantities.get(product_id, 0) + line.quantity
        if quantity > MAX_UNITS_PER_PRODUCT:
            violations.append(
                (
                    f"lines[{index}].quantity",
                    f"the lines of {product_id} add up to {quantity}; at most {MAX_UNITS_PER_PRODUCT} are allowed",
                )
            )
    if violations:
        raise RequestInvalid(violations=violations)
    return quantities


def price(quantities: Mapping[str, int], catalogue: Mapping[str, Product], mode: str = "LIVE") -> Price:
    """Of an order in a mode; LIVE has no products of TEST. Raises `ProductNotFound`, `ProductInactive` or `CurrencyMixed`."""
    lines, total, currency = [], 0, ""
    for product_id, quantity in quantities.items():
        product = catalogue.get(product_id)
        if product is None or (product.mode != mode and mode == "LIVE"):
            raise ProductNotFound(product_id=product_id)
        if not product.active:
            raise ProductInactive(product_id=product_id)
        if product.currency != currency:
            if currency:
                raise CurrencyMixed(
                    currencies=", ".join(sorted({catalogue[p].currency for p in quantities if p in catalogue}))
                )
            currency = product.currency
        unit = product.price_minor
        lines.append(Line(product_id, product.title, quantity, unit))
        total += unit * quantity
    return Price(lines, total, currency)


def refuse_shortage(quantities: Mapping[str, int], catalogue: Mapping[str, Product]) -> None:
    """Raise `OutOfStock` for the first product with too few units in stock."""
    for product_id, quantity in quantities.items():
        left = catalogue[product_id].stock
        if left < quantity:
            raise OutOfStock(product_id=product_id, requested=str(quantity), available=str(left))
