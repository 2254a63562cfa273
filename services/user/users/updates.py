"""Writes what has changed of a user whom the transaction has locked."""

from sqlalchemy import bindparam, update

from chassis.storage.database import Query, Transaction
from services.user.users.domain import User
from services.user.users.repository import UserRepository, taken
from services.user.users.tables import users

_COLUMNS = (
    "email_sealed",
    "email_lookup",
    "display_name_sealed",
    "profile_sealed",
    "phone_sealed",
    "phone_lookup",
    "phone_verified_at",
    "locale",
    "time_zone",
    "state",
    "external_reference",
    "revision",
    "updated_at",
)
# any owner: of a user whom the transaction has locked
_UPDATE = Query(
    update(users).where(users.c.user_id == bindparam("id")).values({name: bindparam(name) for name in _COLUMNS}),
    name="update user",
)


async def save(tx: Transaction, repository: UserRepository, user: User) -> None:
    """Store all but roles, plan, password and counters. Raises `EmailTaken` or `ExternalReferenceTaken`."""
    values = repository.values(user)
    with taken(user.external_reference):
        await tx.run(_UPDATE, id=user.user_id, **{name: values[name] for name in _COLUMNS})
