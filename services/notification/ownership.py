"""Whose notifications a caller may read: their own, which are in LIVE as all who sign in are."""

from sqlalchemy import ColumnElement, Table, bindparam

from chassis.security.modes import LIVE


def of_user(table: Table) -> ColumnElement[bool]:
    """The rows of the user `user_id`."""
    return (table.c.user_id == bindparam("user_id")) & (table.c.mode == LIVE)
