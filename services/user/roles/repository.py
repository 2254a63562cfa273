"""Every query on roles."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ARRAY, Text, bindparam, literal_column, select, update

from chassis.storage.database import Query, Transaction
from services.user.roles.domain import LastAdmin
from services.user.users.domain import ACTIVE
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


class RoleRepository:
    """Roles. Whoever takes an admin's role, state or account away asks `require_other_admin` first."""

    async def require_other_admin(self, tx: Transaction, user_id: str) -> None:
        """Lock all admins until the transaction ends. Raises `LastAdmin` if no other one than this user may sign in.

        Call it before the user's own row is locked. Does nothing for who is no admin.
        """
        rows = await tx.all(_LOCK_ADMINS)
        active = {row.user_id for row in rows if row.state == ACTIVE}
        if active == {user_id}:
            raise LastAdmin(user_id=user_id)

    async def set_roles(self, tx: Transaction, user_id: str, roles: Iterable[str], now: datetime) -> None:
        """Replace the roles of a locked user."""
        await tx.run(_UPDATE_ROLES, id=user_id, roles=list(roles), now=now)
