"""Whose notes a caller may read: a partner its own, of the mode of the caller."""

from typing import NamedTuple

from sqlalchemy import ColumnElement, FromClause, bindparam

from chassis.security.identity import Identity


class Owner(NamedTuple):
    """A partner in a mode."""

    partner_id: str
    mode: str

    @property
    def values(self) -> dict[str, str]:
        """The parameters of `of_owner`."""
        return {"partner_id": self.partner_id, "mode": self.mode}


def owner_of(caller: Identity) -> Owner:
    """Whose notes a caller sees."""
    return Owner(caller.partner_id, caller.mode)


def of_owner(table: FromClause) -> ColumnElement[bool]:
    """The rows of the partner `partner_id` in the mode `mode`."""
    return (table.c.partner_id == bindparam("partner_id")) & (table.c.mode == bindparam("mode"))
