"""Whose rows a caller may read: users their own, which are in LIVE as all who sign in are; partners theirs of their mode;
operators all.
"""

from typing import NamedTuple

from sqlalchemy import ColumnElement, FromClause, bindparam, true

from chassis.security.identity import Identity
from chassis.security.modes import LIVE
from chassis.storage.database import constant


class Owner(NamedTuple):
    """A kind of `KINDS`, and the partner and its mode; both are empty for anyone."""

    kind: str
    partner_id: str
    mode: str

    @property
    def values(self) -> dict[str, str]:
        """The parameters of the predicates."""
        return {"partner_id": self.partner_id, "mode": self.mode}


KINDS = ("partner", "anyone")
"""Each has queries of its own: an index serves a condition that has no alternatives."""
_NOBODY = "nobody"
"""The partner of nothing: rows without one have an empty `partner_id`."""


def of_user(table: FromClause) -> ColumnElement[bool]:
    """The rows of the user `user_id`."""
    return (table.c.user_id == bindparam("user_id")) & (table.c.mode == LIVE)


def of_partner(table: FromClause) -> ColumnElement[bool]:
    """The rows of the partner `partner_id` in the mode `mode`."""
    return (table.c.partner_id == bindparam("partner_id")) & (table.c.mode == bindparam("mode"))


OF_PARTNER = "partner_id = %(partner_id)s AND mode = %(mode)s"
"""SQL: the same of the only table of a statement."""


def of_person(table: FromClause) -> ColumnElement[bool]:
    """The rows of the user `user_id` of a table without modes: the caller's, or the recipient's."""
    return table.c.user_id == bindparam("user_id")


def owner_of(caller: Identity) -> Owner:
    """Whose notifications, templates, events and endpoints a caller sees."""
    if caller.is_operator:
        return Owner("anyone", "", "")
    return Owner("partner", caller.partner_id or _NOBODY, caller.mode)


def of_owner(kind: str, table: FromClause) -> ColumnElement[bool]:
    """The rows of an owner of this kind."""
    # The second part matches the condition of an index.
    return of_partner(table) & (table.c.partner_id != constant("")) if kind == "partner" else true()
