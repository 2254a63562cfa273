"""The RPC of UserService on roles: who is an operator, and who an admin."""

from weft.api.v1 import scope_pb2
from weft.user.v1 import user_pb2
from weft.user.v1 import user_roles_pb2 as pb

from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.storage.database import Database
from services.user.audit.audit import Audit
from services.user.roles.domain import check_assignable
from services.user.roles.repository import RoleRepository
from services.user.sessions.repository import SessionRepository
from services.user.users.domain import ADMIN, CUSTOMER, UserNotFound
from services.user.users.messages import to_message
from services.user.users.repository import UserRepository


class RoleHandlers:
    """The part of weft.user.v1.UserService about roles."""

    def __init__(
        self,
        database: Database,
        users: UserRepository,
        roles: RoleRepository,
        sessions: SessionRepository,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._database = database
        self._users = users
        self._roles = roles
        self._sessions = sessions
        self._audit = audit
        self._clock = clock

    async def SetUserRoles(self, request: pb.SetUserRolesRequest, call: Call) -> user_pb2.User:
        """Signs the person out everywhere. Roles that are set already change nothing."""
        roles = _roles(request)
        async with self._database.transaction() as tx:
            if ADMIN not in roles:
                await self._roles.require_other_admin(tx, request.user_id)
            user = await self._users.lock(tx, request.user_id)
            if user is None:
                raise UserNotFound(user_id=request.user_id)
            if set(user.roles) != set(roles):
                check_assignable(user)
                user.require(request.etag)
                now = self._clock.now()
                await self._roles.set_roles(tx, user.user_id, roles, now)
                await self._sessions.end_others(tx, user.user_id, "", now)
                await self._audit.record(tx, call, "user.roles_changed", subject=user.user_id, fields=("roles",))
                user = await self._users.get_in(tx, user.user_id) or user
        return to_message(user)


def _roles(request: pb.SetUserRolesRequest) -> tuple[str, ...]:
    """The roles of a request and that of a customer, the least first."""
    wanted = {scope_pb2.Role.Name(role) for role in request.roles} | {f"ROLE_{CUSTOMER.upper()}"}
    return tuple(name.removeprefix("ROLE_").lower() for name in scope_pb2.Role.keys()[1:] if name in wanted)
