"""Every query on partners' people and invitations. What changes them holds the lock of the partner."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.storage.database import Database, Query, Row, Transaction, newest_first
from services.user.members.domain import OWNER, Member
from services.user.members.tables import invitations, members
from services.user.ownership import of_own_partner
from services.user.partners.domain import ACTIVE
from services.user.partners.tables import partners

_m, _i, _p = members.c, invitations.c, partners.c
_mine = _m.user_id == bindparam("user_id")
_by_id = select(members).where(of_own_partner(members), _mine)
_GET = Query(_by_id, name="get member")
_LIST = Query(newest_first(select(members).where(of_own_partner(members)), _m.user_id), name="list members")
_LOCK = Query(_by_id.with_for_update(), name="lock member")
_INSERT = Query(
    insert(members).values({column.name: bindparam(column.name) for column in members.columns}), name="insert member"
)
_UPDATED = ("role", "revision")
# any owner: of a member that the transaction has locked for its owner
_UPDATE = Query(
    update(members)
    .where(_m.partner_id == bindparam("of"), _m.user_id == bindparam("who"))
    .values({name: bindparam(name) for name in _UPDATED}),
    name="update member",
)
_DELETE = Query(delete(members).where(of_own_partner(members), _mine), name="delete member")
_COUNT_OWNERS = Query(
    select(func.count().label("owners")).where(of_own_partner(members), _m.role == OWNER), name="count owners"
)
_LIST_OWNERS = Query(
    select(_m.user_id).where(of_own_partner(members), _m.role == OWNER).order_by(_m.user_id), name="list owners"
)
_COUNT = Query(
    select(
        (
            select(func.count()).where(of_own_partner(members)).scalar_subquery()
            + select(func.count()).where(of_own_partner(invitations)).scalar_subquery()
        ).label("people")
    ),
    name="count people",
)
# any owner: of the request that the transaction has stored for the partner
_INSERT_INVITATION = Query(
    insert(invitations)
    .values({column.name: bindparam(column.name) for column in invitations.columns})
    .on_conflict_do_update(index_elements=["code_request_id"], set_={"role": bindparam("role")}),
    name="insert invitation",
)
# any owner: whoever presents the code is invited
_GET_INVITATION = Query(
    select(_i.partner_id, _i.role).where(_i.code_request_id == bindparam("id")), name="get invitation"
)
# any owner: for the mail, whose recipient is invited
_GET_INVITING = Query(
    select(_p.display_name)
    .join_from(invitations, partners, _p.partner_id == _i.partner_id)
    .where(_i.code_request_id == bindparam("id")),
    name="get inviting partner",
)
# any owner: of the user who is about to be erased
_LIST_OWNED = Query(
    select(_m.partner_id)
    .join_from(members, partners, _p.partner_id == _m.partner_id)
    .where(_mine, _m.role == OWNER, _p.state == ACTIVE)
    .order_by(_m.partner_id),
    name="list owned partners",
)
_GET_ACTING = Query(
    select(members, _p.plan, _p.scopes, _p.token_generation.label("partner_generation"))
    .join_from(members, partners, _p.partner_id == _m.partner_id)
    .where(of_own_partner(members), _mine, _p.state == ACTIVE),
    name="get acting member",
)


class Acting(NamedTuple):
    """A person who acts for an active partner, with what the partner may."""

    member: Member
    plan: str
    scopes: tuple[str, ...]
    partner_generation: int


class Invitation(NamedTuple):
    """Whose person an invited one becomes, and the role."""

    partner_id: str
    role: str


class MemberRepository:
    """Partners' people."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_acting(self, tx: Transaction, partner_id: str, user_id: str) -> Acting | None:
        """Who acts for a partner; None where the partner is suspended, or has no such person."""
        row = await tx.first(_GET_ACTING, partner_id=partner_id, user_id=user_id)
        return Acting(_read(row), row.plan, tuple(row.scopes), row.partner_generation) if row else None

    async def list(self, partner_id: str, limit: int, after: str) -> Sequence[Member]:
        """Up to `limit` people of a partner, the newest users first."""
        rows = await self._database.all(_LIST, partner_id=partner_id, limit=limit, after=after)
        return [_read(row) for row in rows]

    async def lock(self, tx: Transaction, partner_id: str, user_id: str) -> Member | None:
        """A partner's person, locked until the transaction ends."""
        row = await tx.first(_LOCK, partner_id=partner_id, user_id=user_id)
        return _read(row) if row else None

    async def insert(self, tx: Transaction, member: Member) -> None:
        """Insert a member. Raises `UniqueViolation` for one that there is."""
        await tx.run(_INSERT, **_values(member))

    async def update(self, tx: Transaction, member: Member) -> None:
        """Store a locked member."""
        await tx.run(_UPDATE, of=member.partner_id, who=member.user_id, **_values(member))

    async def delete(self, tx: Transaction, member: Member) -> None:
        """Delete a locked member."""
        await tx.run(_DELETE, partner_id=member.partner_id, user_id=member.user_id)

    async def count_owners(self, tx: Transaction, partner_id: str) -> int:
        """The owners among a partner's people."""
        return int((await tx.one(_COUNT_OWNERS, partner_id=partner_id)).owners)

    async def list_owned(self, tx: Transaction, user_id: str) -> tuple[str, ...]:
        """The active partners that a user is an owner of."""
        return tuple(row.partner_id for row in await tx.all(_LIST_OWNED, user_id=user_id))

    async def list_owners(self, partner_id: str) -> Sequence[str]:
        """The users who are owners."""
        return [row.user_id for row in await self._database.all(_LIST_OWNERS, partner_id=partner_id)]

    async def count(self, tx: Transaction, partner_id: str) -> int:
        """A partner's people and its invitations."""
        return int((await tx.one(_COUNT, partner_id=partner_id)).people)

    async def get_invitation(self, tx: Transaction, code_request_id: str) -> Invitation | None:
        """What a code is for."""
        row = await tx.first(_GET_INVITATION, id=code_request_id)
        return Invitation(row.partner_id, row.role) if row else None

    async def insert_invitation(self, tx: Transaction, code_request_id: str, invitation: Invitation) -> None:
        """Store what a requested code is for."""
        await tx.run(_INSERT_INVITATION, code_request_id=code_request_id, **invitation._asdict())

    async def get_inviting_partner(self, code_request_id: str) -> str | None:
        """The name of the partner that an invitation is from."""
        row = await self._database.first(_GET_INVITING, id=code_request_id)
        return str(row.display_name) if row else None


def _read(row: Row) -> Member:
    """The member of a row, which may have other columns, too."""
    return Member(**{name: value for name, value in row._asdict().items() if name in members.c})


def _values(member: Member) -> dict[str, Any]:
    return {column.name: getattr(member, column.name) for column in members.columns}
