"""The user that a request names, `me` or an id, where the caller may see them: themselves, a partner's own, any for operators."""

from chassis.security.identity import Identity
from chassis.storage.database import Transaction
from services.user import ownership
from services.user.users.domain import User, UserNotFound
from services.user.users.repository import UserRepository


async def get_visible(users: UserRepository, named: str, caller: Identity) -> User:
    """The user. Raises `UserNotFound`."""
    user_id = id_of(named, caller)
    return _visible(await users.get(user_id) if user_id else None, named, caller)


async def lock_visible(tx: Transaction, users: UserRepository, named: str, caller: Identity) -> User:
    """The user, locked until the transaction ends. Raises `UserNotFound`."""
    user_id = id_of(named, caller)
    return _visible(await users.lock(tx, user_id) if user_id else None, named, caller)


def id_of(named: str, caller: Identity) -> str:
    """The id that a request names; empty for a caller who is no user and says `me`."""
    return caller.user_id if named == "me" else named


def _visible(user: User | None, named: str, caller: Identity) -> User:
    if user is None or not ownership.may_see_user(caller, user.user_id, user.partner_id, user.mode):
        raise UserNotFound(user_id=named)
    return user
