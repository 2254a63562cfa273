"""Whose rows a caller may read: users their own, which are in LIVE as all who sign in are; partners theirs of their mode;
operators all.
"""

from sqlalchemy import ColumnElement, Table, bindparam

from chassis.security.identity import Identity
from chassis.security.modes import LIVE

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


def kind_of(caller: Identity) -> tuple[str, dict[str, str]]:
    """The kind of a caller, and the parameters of `notifications_of`."""
    if caller.is_operator:
        return "anyone", {}
    return "partner", {"partner_id": caller.partner_id or _NOBODY, "mode": caller.mode}


def notifications_of(kind: str) -> str:
    """SQL: the notifications `n` of a kind of callers."""
    # The second part matches the condition of the index.
    of_partner = "n.partner_id = %(partner_id)s AND n.partner_id <> '' AND n.mode = %(mode)s"
    return {"partner": of_partner, "anyone": "true"}[kind]


def templates_of(kind: str) -> str:
    """SQL: the templates `t` of a kind of callers."""
    return {"partner": "t.partner_id = %(partner_id)s AND t.mode = %(mode)s", "anyone": "true"}[kind]
