"""Whose rows a caller may read: users their own, which are in LIVE as all who sign in are; partners theirs of their mode;
operators all.
"""

from typing import NamedTuple

from sqlalchemy import ColumnElement, Table, bindparam

from chassis.security.identity import Identity
from chassis.security.modes import LIVE


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
"""Kinds of callers, each with queries of its own: an index serves a condition that has no alternatives."""
_NOBODY = "nobody"
"""The partner of nothing: rows without one have an empty `partner_id`."""


def of_user(table: Table) -> ColumnElement[bool]:
    """The rows of the user `user_id`."""
    return (table.c.user_id == bindparam("user_id")) & (table.c.mode == LIVE)


def of_partner(table: Table) -> ColumnElement[bool]:
    """The rows of the partner `partner_id` in the mode `mode`."""
    return (table.c.partner_id == bindparam("partner_id")) & (table.c.mode == bindparam("mode"))


OF_PARTNER = "partner_id = %(partner_id)s AND mode = %(mode)s"
"""SQL: the same of the only table of a statement."""


OF_PERSON = "user_id = %(user_id)s"
"""SQL: the rows of the only table of a statement that are the caller's, or the recipient's; they have no mode."""


def owner_of(caller: Identity) -> Owner:
    """Whose notifications, templates, events and endpoints a caller sees."""
    if caller.is_operator:
        return Owner("anyone", "", "")
    return Owner("partner", caller.partner_id or _NOBODY, caller.mode)


def notifications_of(kind: str) -> str:
    """SQL: the notifications `n` of a kind of callers."""
    # The second part matches the condition of the index.
    of_partner = "n.partner_id = %(partner_id)s AND n.partner_id <> '' AND n.mode = %(mode)s"
    return {"partner": of_partner, "anyone": "true"}[kind]


def templates_of(kind: str) -> str:
    """SQL: the templates `t` of a kind of callers."""
    return {"partner": "t.partner_id = %(partner_id)s AND t.mode = %(mode)s", "anyone": "true"}[kind]
