"""Whose users, clients and sessions a caller may see: users themselves, partners their own of their mode, operators all."""

from typing import NamedTuple

from sqlalchemy import ARRAY, ColumnElement, FromClause, Text, any_, bindparam

from chassis.security import modes
from chassis.security.identity import Identity


class Owner(NamedTuple):
    """Whose users a caller sees: those of a partner in a mode, or of anyone, who has no partner."""

    kind: str
    partner_id: str
    mode: str

    @property
    def values(self) -> dict[str, str]:
        """The parameters of `of_partner`; none for anyone."""
        return {"partner_id": self.partner_id, "mode": self.mode} if self.kind == "partner" else {}


class ClientOwner(NamedTuple):
    """Whose clients a caller sees: those of a partner in some modes."""

    partner_id: str
    modes: list[str]

    @property
    def values(self) -> dict[str, str | list[str]]:
        """The parameters of `of_partner_in`."""
        return {"partner_id": self.partner_id, "modes": self.modes}


def owner_of(caller: Identity) -> Owner:
    """Whose users a caller sees in lists, which only partners and operators read."""
    return Owner("partner", caller.partner_id, caller.mode) if caller.is_partner else Owner("anyone", "", "")


def client_owner_of(caller: Identity, partner_id: str) -> ClientOwner:
    """Which clients of a partner a caller sees: a client those of its own mode."""
    return ClientOwner(partner_id, modes_of(caller))


def of_partner(table: FromClause) -> ColumnElement[bool]:
    """The rows of the partner `partner_id` in the mode `mode`."""
    return (table.c.partner_id == bindparam("partner_id")) & (table.c.mode == bindparam("mode"))


def of_partner_in(table: FromClause) -> ColumnElement[bool]:
    """The rows of the partner `partner_id` in any of `modes`, from `client_owner_of`."""
    return (table.c.partner_id == bindparam("partner_id")) & (
        table.c.mode == any_(bindparam("modes", type_=ARRAY(Text)))
    )


def of_user(table: FromClause) -> ColumnElement[bool]:
    """The rows of the user `user_id`."""
    return table.c.user_id == bindparam("user_id")


def of_own_partner(table: FromClause) -> ColumnElement[bool]:
    """The rows of the partner `partner_id` that are of no mode: what there is of the partner itself."""
    return table.c.partner_id == bindparam("partner_id")


def modes_of(caller: Identity) -> list[str]:
    """The modes of the clients that a caller may see: a client that of its own."""
    return [caller.mode] if caller.is_partner and not caller.is_member else list(modes.ALL)


def managed_modes(caller: Identity) -> list[str]:
    """The modes of the clients that a caller may change: of a partner's people, owners manage all, others those in TEST."""
    return [modes.TEST] if caller.is_member and caller.member_role != "owner" else modes_of(caller)


def may_see_user(caller: Identity, user_id: str, partner_id: str, mode: str) -> bool:
    """Whether a user, who belongs to a partner or to none, is the caller's to see."""
    if caller.is_partner:
        return (partner_id, mode) == (caller.partner_id, caller.mode)
    return caller.is_operator or user_id == caller.user_id


def may_manage_partner(caller: Identity, partner_id: str) -> bool:
    """Whether a partner's clients are the caller's to manage; other callers than partners are operators."""
    return not caller.is_partner or caller.partner_id == partner_id
