"""Shipping charges and taxes. Both follow from the country of the address, by a small table that operators keep.

Amounts are integers in the minor unit. The tax of each line, and that of shipping, is rounded to it, half to even; the tax of
an order is the sum of these.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from chassis.values import etags
from services.order.domain.pricing import AppliedCharge, Price

_ONE = 1_000_000


class ChargeKind(StrEnum):
    """The contract's names without their prefix."""

    SHIPPING = "SHIPPING"
    TAX = "TAX"


class Charge(NamedTuple):
    """A row of the table. `region`: a country; empty for those without a row, and for orders without an address.

    Of shipping: currency, amount, and from which sum of the products on it is free. Of tax: the rate in millionths, and
    whether shipping is taxed.
    """

    kind: str
    region: str
    title: str
    currency: str = ""
    amount_minor: int = 0
    free_from_minor: int | None = None
    rate: int = 0
    taxes_shipping: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """At most one row has it."""
        return self.kind, self.region, self.currency

    @property
    def name(self) -> str:
        """The key as a text of the same order."""
        return "/".join(self.key)


class ChargeTable:
    """The charges of a version, the newest of which is in force."""

    def __init__(self, version: int, charges: Iterable[Charge], updated_at: datetime | None = None) -> None:
        self.version = version
        self.updated_at = updated_at
        self.charges = tuple(sorted(charges, key=lambda charge: charge.key))
        self._by_key = {charge.key: charge for charge in self.charges}

    @property
    def etag(self) -> str:
        """Changes with every version."""
        return etags.of(self.version)

    def update(self, now: datetime, etag: str, changes: Mapping[str, Any]) -> "ChargeTable":
        """`changes`: new values by attribute. The table itself if nothing changes. Raises `EtagMismatch` for a stale etag."""
        etags.require(etag, self.version)
        changed = ChargeTable(self.version + 1, changes.get("charges", self.charges), now)
        return self if changed.charges == self.charges else changed

    def apply(self, price: Price, region: str) -> Price:
        """The price with the charges of a country; empty for an order without an address."""
        if not self._by_key:
            return price
        shipping = self._find(ChargeKind.SHIPPING, region, price.currency)
        tax = self._find(ChargeKind.TAX, region)
        subtotal = price.subtotal_minor
        lines, charges, taxed = price.lines, [], 0
        if shipping:
            free = shipping.free_from_minor is not None and subtotal >= shipping.free_from_minor
            amount = 0 if free else shipping.amount_minor
            charges.append(AppliedCharge(ChargeKind.SHIPPING, shipping.title, amount))
            taxed = amount if tax and tax.taxes_shipping else 0
        if tax:
            lines = [
                line._replace(tax_minor=share(line.unit_price_minor * line.quantity, tax.rate)) for line in price.lines
            ]
            amount = sum(line.tax_minor for line in lines) + share(taxed, tax.rate)
            charges.append(AppliedCharge(ChargeKind.TAX, tax.title, amount, tax.rate))
        total = subtotal + sum(charge.amount_minor for charge in charges)
        return price._replace(lines=lines, total_minor=total, charges=charges)

    def _find(self, kind: ChargeKind, region: str, currency: str = "") -> Charge | None:
        return self._by_key.get((kind, region, currency)) or self._by_key.get((kind, "", currency))


def share(amount_minor: int, rate: int) -> int:
    """Millionths of an amount, rounded half to even."""
    whole, rest = divmod(amount_minor * rate, _ONE)
    return whole + (2 * rest > _ONE or (2 * rest == _ONE and whole % 2 == 1))
