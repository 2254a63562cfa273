"""Who is an operator and who an admin: SetUserRoles, and the rule that the last admin stays."""

from sqlalchemy import ARRAY, Text, bindparam, literal_column, select, update
from weft.api.v1 import scope_pb2
from weft.user.v1 import user_pb2, user_roles_pb2

from chassis.clock import Clock
from chassis.errors import EtagMismatch, FailedPrecondition
from chassis.rpc.call import Call
from chassis.storage.database import Database, Query, Transaction
from services.user.audit.audit import Audit
from services.user.sessions.repository import SessionRepository
from services.user.users.domain import ACTIVE, ADMIN, CUSTOMER, User, UserNotFound
from services.user.users.messages import to_message
from services.user.users.repository import UserRepository
from services.user.users.tables import users

_u = users.c
# any owner: admins are few, and all of them are looked at
# Their rows are the lock, in one order: of two admins who demote each other the second sees what the first has done.
_LOCK_ADMINS = Query(
    select(_u.user_id, _u.state)
    .where(literal_column("'admin' = ANY (users.roles)"))
    .order_by(_u.user_id)
    .with_for_update(),
    name="lock admins",
)
# any owner: of a user whom the transaction has locked
_UPDATE_ROLES = Query(
    update(users)
    .where(_u.user_id == bindparam("id"))
    .values(roles=bindparam("roles", type_=ARRAY(Text)), revision=_u.revision + 1, updated_at=bindparam("now")),
    name="update roles",
)


class RolesNotAssignable(FailedPrecondition):
    """The user {user_id} belongs to a partner and has no other role than that of a customer."""


class LastAdmin(FailedPrecondition):
    """The user {user_id} is the last admin who may sign in; make someone else an admin first."""


class Admins:
    """The admins of the platform. Whoever takes an admin's role, state or account away asks `keep_one` first."""

    async def keep_one(self, tx: Transaction, user_id: str) -> None:
        """Lock all admins until the transaction ends. Raises `LastAdmin` if no other one than this user may sign in.

        Call it before the user's own row is locked. Does nothing for who is no admin.
        """
        rows = await tx.all(_LOCK_ADMINS)
        active = {row.user_id for row in rows if row.state == ACTIVE}
        if active == {user_id}:
            raise LastAdmin(user_id=user_id)


class RoleHandlers:
    """SetUserRoles of weft.user.v1.UserService."""

    def __init__(
        self, database: Database, users: UserRepository, sessions: SessionRepository, audit: Audit, clock: Clock
    ) -> None:
        self._database = database
        self._users = users
        self._sessions = sessions
        self._audit = audit
        self._clock = clock

    async def SetUserRoles(self, request: user_roles_pb2.SetUserRolesRequest, call: Call) -> user_pb2.User:
        """Signs the person out everywhere. Roles that are set already change nothing."""
        names = {scope_pb2.Role.Name(role).removeprefix("ROLE_").lower() for role in request.roles}
        roles = tuple(role for role in self.ordered() if role in names | {CUSTOMER})
        async with self._database.transaction() as tx:
            if ADMIN not in roles:
                await Admins().keep_one(tx, request.user_id)
            user = await self._users.lock(tx, request.user_id)
            if user is None:
                raise UserNotFound(user_id=request.user_id)
            if set(user.roles) != set(roles):
                self._check(user, request.etag)
                now = self._clock.now()
                await tx.run(_UPDATE_ROLES, id=user.user_id, roles=list(roles), now=now)
                await self._sessions.end_others(tx, user.user_id, "", now)
                await self._audit.record(tx, call, "user.roles_changed", subject=user.user_id, fields=("roles",))
                user = await self._users.get_in(tx, user.user_id) or user
        return to_message(user)

    @staticmethod
    def ordered() -> tuple[str, ...]:
        """Every role, the least first."""
        return tuple(role.removeprefix("ROLE_").lower() for role in scope_pb2.Role.keys()[1:])

    @staticmethod
    def _check(user: User, etag: str) -> None:
        if user.partner_id:
            raise RolesNotAssignable(user_id=user.user_id)
        if etag and etag != str(user.revision):
            raise EtagMismatch(etag=str(user.revision))
