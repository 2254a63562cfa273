"""Whose rows a caller may read: users their own, which are in LIVE as all who sign in are; partners theirs of their mode."""

from sqlalchemy import ColumnElement, Table, bindparam

from chassis.security.modes import LIVE


def of_user(table: Table) -> ColumnElement[bool]:
    """The rows of the user `user_id`."""
    return (table.c.user_id == bindparam("user_id")) & (table.c.mode == LIVE)


def of_partner(table: Table) -> ColumnElement[bool]:
    """The rows of the partner `partner_id` in the mode `mode`."""
    return (table.c.partner_id == bindparam("partner_id")) & (table.c.mode == bindparam("mode"))


OF_PARTNER = "partner_id = %(partner_id)s AND mode = %(mode)s"
"""SQL: the same of the only table of a statement."""
