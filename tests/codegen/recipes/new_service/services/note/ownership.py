"""Whose notes a caller may read: a partner its own."""

from sqlalchemy import ColumnElement, Table, bindparam


def of_partner(table: Table) -> ColumnElement[bool]:
    """The rows of the partner `partner_id`."""
    return table.c.partner_id == bindparam("partner_id")
