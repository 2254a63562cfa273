"""Currencies that things have prices in: those of ISO 4217 that people pay with, and how many decimal places each has."""

from iso4217 import Currency

from chassis.errors import RequestInvalid

EXPONENTS: dict[str, int] = {c.code: c.exponent for c in Currency if c.exponent is not None}
"""Decimal places by code. Metals, tests (`XTS`) and the lack of a currency (`XXX`) have none, and are left out."""

_UNITS_OF_ACCOUNT = {"BOV", "CHE", "CHW", "CLF", "COU", "MXV", "USN", "UYI", "UYW", "XAD"}
"""Codes of units of account: in ISO 4217, but not means of payment."""

ACCEPTED = frozenset(EXPONENTS.keys() - _UNITS_OF_ACCOUNT)
"""The codes that prices may have."""


def require(field: str, code: str) -> None:
    """Raise `RequestInvalid` that names the field where a code is no currency of today."""
    if code not in ACCEPTED:
        raise RequestInvalid(violations=[(field, "must be the code of a currency in use, as ISO 4217 lists them")])
