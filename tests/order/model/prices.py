"""What an order costs, said once more and without the service's own code."""

from fractions import Fraction
from typing import Any, NamedTuple

from weft.order.v1 import charge_pb2
from weft.order.v1.money_pb2 import Money


class Shipping(NamedTuple):
    """An amount, free from a sum of the products on."""

    amount: int
    free_from: int | None = None


class Tax(NamedTuple):
    """Thousandths that are added."""

    rate: int
    of_shipping: bool = False


Table = dict[str, tuple[Shipping | None, Tax | None]]
TABLES: tuple[Table, ...] = (
    {},
    {"AT": (Shipping(450), Tax(50, of_shipping=True)), "": (Shipping(390), None)},
    {"": (Shipping(399, free_from=2500), Tax(77))},
)
"""By country; the empty one is for those without rows."""
PRICES = (1005, 1250)


class Priced(NamedTuple):
    """In the minor unit: a line and its tax, and the charges in their order."""

    subtotal: int
    line_tax: int
    charges: tuple[int, ...]
    total: int


def price(units: int, each: int, table: Table, region: str) -> Priced:
    """Of one line, sent to a country; empty for an order without an address."""
    own, others = table.get(region, (None, None)), table.get("", (None, None))
    shipping, tax = own[0] or others[0], own[1] or others[1]
    subtotal, charges, line_tax, shipped = units * each, [], 0, 0
    if shipping:
        shipped = 0 if shipping.free_from is not None and subtotal >= shipping.free_from else shipping.amount
        charges.append(shipped)
    if tax:
        line_tax = _share(subtotal, tax.rate)
        charges.append(line_tax + (_share(shipped, tax.rate) if tax.of_shipping else 0))
    return Priced(subtotal, line_tax, tuple(charges), subtotal + sum(charges))


def read(message: Any) -> Priced:
    """What an order of one line, or a quote, says."""
    charges = tuple(charge.amount.amount_minor for charge in message.charges)
    return Priced(message.subtotal.amount_minor, message.lines[0].tax_minor, charges, message.total.amount_minor)


def rows(table: Table) -> list[charge_pb2.Charge]:
    """As UpdateCharges has them."""
    made = []
    for region, (shipping, tax) in table.items():
        if shipping:
            amount = Money(amount_minor=shipping.amount, currency="EUR")
            of = charge_pb2.ShippingCharge(amount=amount, free_from_minor=shipping.free_from)
            made.append(charge_pb2.Charge(region_code=region, title="Post", shipping=of))
        if tax:
            kept = charge_pb2.Tax(rate_millionths=1000 * tax.rate, taxes_shipping=tax.of_shipping)
            made.append(charge_pb2.Charge(region_code=region, title="VAT", tax=kept))
    return made


def _share(amount: int, rate: int) -> int:
    return round(Fraction(amount * rate, 1000))  # half to even
