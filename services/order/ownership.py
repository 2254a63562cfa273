"""Whose orders, payments and products a caller may see or change: the only place that says it, for SQL and for cursors.

Users see the orders that they place, partners those that are placed through them, operators all. A payment has the owner of its
order. The catalogue is public; partners change their own products, operators all.
"""

from sqlalchemy import ColumnElement, Table, Text, bindparam, func

from chassis.security.identity import Identity

Owner = tuple[str, str]
"""A kind and an id: `("customer", "usr_…")`, `("partner", "prt_…")`, or `("anyone", "")` for operators."""
KINDS = ("customer", "partner", "anyone")
_NOBODY = "nobody"
"""The owner of nothing: rows without a partner have an empty `partner_id`."""

OF_BATCH = (
    "CASE w.owned WHEN 'customer' THEN o.customer_id = w.owner WHEN 'partner' THEN o.partner_id = w.owner "
    "ELSE w.owned = 'anyone' END"
)
"""SQL: an order `o` is of the owner (`owned`, `owner`) in its row `w` of a batch."""


def owner_of(caller: Identity) -> Owner:
    """Whose orders a caller sees."""
    if caller.is_operator:
        return "anyone", ""
    if caller.is_partner:
        return "partner", caller.partner_id or _NOBODY
    return "customer", caller.user_id


def of_owner(kind: str, alias: str) -> str:
    """SQL: the rows of an owner of this kind, whose id is the parameter `owner`."""
    return {
        "customer": f"{alias}.customer_id = %(owner)s",
        # The second half matches the condition of the index.
        "partner": f"{alias}.partner_id = %(owner)s AND {alias}.partner_id <> ''",
        "anyone": "true",
    }[kind]


def product_owner(caller: Identity) -> str | None:
    """The partner whose products a caller may change; None for operators, who may change all."""
    return None if caller.is_operator else caller.partner_id or _NOBODY


def of_product_owner(table: Table) -> ColumnElement[bool]:
    """The products of the parameter `owner`, from `product_owner`."""
    return func.coalesce(bindparam("owner", type_=Text), table.c.partner_id) == table.c.partner_id
