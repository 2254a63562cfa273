"""Whose users, clients and sessions a caller may see: users themselves, partners their own, operators all."""

from sqlalchemy import ColumnElement, Table, bindparam

from chassis.security.identity import Identity


def of_partner(table: Table) -> ColumnElement[bool]:
    """The rows of the partner `partner_id`."""
    return table.c.partner_id == bindparam("partner_id")


def of_user(table: Table) -> ColumnElement[bool]:
    """The rows of the user `user_id`."""
    return table.c.user_id == bindparam("user_id")


def may_see_user(caller: Identity, user_id: str, partner_id: str) -> bool:
    """Whether a user, who belongs to a partner or to none, is the caller's to see."""
    if caller.is_partner:
        return partner_id == caller.partner_id
    return caller.is_operator or user_id == caller.user_id


def may_manage_partner(caller: Identity, partner_id: str) -> bool:
    """Whether a partner's clients are the caller's to manage; other callers than partners are operators."""
    return not caller.is_partner or caller.partner_id == partner_id
