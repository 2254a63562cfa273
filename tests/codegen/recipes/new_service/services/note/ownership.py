"""Whose notes a caller may read: a partner its own, of the mode of the caller."""

from sqlalchemy import ColumnElement, Table, and_, bindparam

from chassis.security.identity import Identity


def of_partner(table: Table) -> ColumnElement[bool]:
    """The rows of the partner `partner_id` in the mode `mode`."""
    return and_(table.c.partner_id == bindparam("partner_id"), table.c.mode == bindparam("mode"))


def owner_of(caller: Identity) -> dict[str, str]:
    """What `of_partner` is asked with, and what a new row has."""
    return {"partner_id": caller.partner_id, "mode": caller.mode}
