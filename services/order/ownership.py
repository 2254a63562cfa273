"""Whose orders, payments and products a caller may see or change: the only place that says it, for SQL and for cursors.

Users see the orders that they place, partners those that are placed through them in the mode of the caller, operators all. A
payment has the owner of its order. The catalogue is public; partners change their own products of their mode, operators all.
"""

from typing import NamedTuple

from sqlalchemy import ColumnElement, FromClause, Text, TextClause, bindparam, func, text

from chassis.security.identity import Identity
from chassis.security.modes import TEST


class Owner(NamedTuple):
    """A kind of `KINDS` and the id of a user or a partner, empty for anyone.

    Customers are in LIVE. What is made in TEST has no other owner than the partner.
    """

    kind: str
    id: str

    @property
    def values(self) -> dict[str, str]:
        """The parameter of `of_owner` and `owned`."""
        return {"owner": self.id}


KINDS = ("customer", "partner", "partner_in_test", "anyone")
_ANYONE = Owner("anyone", "")
_NOBODY = "nobody"
"""The owner of nothing: rows without a partner have an empty `partner_id`."""

OF_BATCH = (
    "CASE w.owned WHEN 'customer' THEN o.customer_id = w.owner AND o.mode = 'LIVE' "
    "WHEN 'partner' THEN o.partner_id = w.owner AND o.mode = 'LIVE' "
    "WHEN 'partner_in_test' THEN o.partner_id = w.owner AND o.mode = 'TEST' "
    "ELSE w.owned = 'anyone' END"
)
"""SQL: an order `o` is of the owner (`owned`, `owner`) in its row `w` of a batch."""


def owner_of(caller: Identity) -> Owner:
    """Whose orders a caller sees."""
    if caller.is_operator:
        return _ANYONE
    if caller.is_partner:
        return Owner("partner_in_test" if caller.mode == TEST else "partner", caller.partner_id or _NOBODY)
    return Owner("customer", caller.user_id)


def of_owner(kind: str, alias: str) -> str:
    """SQL: the rows of an owner of this kind, whose id is the parameter `owner`."""
    return {
        "customer": f"{alias}.customer_id = %(owner)s AND {alias}.mode = 'LIVE'",
        # The second part matches the condition of the index.
        "partner": f"{alias}.partner_id = %(owner)s AND {alias}.partner_id <> '' AND {alias}.mode = 'LIVE'",
        "partner_in_test": f"{alias}.partner_id = %(owner)s AND {alias}.mode = 'TEST'",
        "anyone": "true",
    }[kind]


def owned(kind: str, alias: str) -> TextClause:
    """The same, for SQLAlchemy Core."""
    return text(of_owner(kind, alias).replace("%(owner)s", ":owner"))


def owners_of(customer_id: str, partner_id: str, mode: str) -> set[Owner]:
    """All who see an order."""
    if mode == TEST:
        return {Owner("partner_in_test", partner_id), _ANYONE}
    return {Owner("customer", customer_id), Owner("partner", partner_id), _ANYONE}


class ProductOwner(NamedTuple):
    """A partner in a mode; None stands for all."""

    partner_id: str | None
    mode: str | None

    @property
    def values(self) -> dict[str, str | None]:
        """The parameters of `of_product_owner`."""
        return {"partner_id": self.partner_id, "mode": self.mode}


def product_owner_of(caller: Identity) -> ProductOwner:
    """Whose products a caller may change."""
    if caller.is_operator:
        return ProductOwner(None, None)
    return ProductOwner(caller.partner_id or _NOBODY, caller.mode)


def of_product_owner(table: FromClause) -> ColumnElement[bool]:
    """The products of the parameters `partner_id` and `mode`, from `product_owner_of`."""
    return (func.coalesce(bindparam("partner_id", type_=Text), table.c.partner_id) == table.c.partner_id) & (
        func.coalesce(bindparam("mode", type_=Text), table.c.mode) == table.c.mode
    )
