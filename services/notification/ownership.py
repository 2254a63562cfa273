"""Whose notifications a caller may read: their own."""

from sqlalchemy import ColumnElement, Table, bindparam


def of_user(table: Table) -> ColumnElement[bool]:
    """The rows of the user `user_id`."""
    return table.c.user_id == bindparam("user_id")
