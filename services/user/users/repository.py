"""Every query on users but the lists (`list_statements`) and the roles."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import ARRAY, Text, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.security import modes
from chassis.security.encryption import Vault
from chassis.storage.database import Database, Query, Transaction, violated
from chassis.storage.lookups import Lookup
from services.user.ownership import Owner
from services.user.users import list_statements
from services.user.users.domain import ACTIVE, EmailTaken, ExternalReferenceTaken, User
from services.user.users.rows import UserRows
from services.user.users.tables import users

_u = users.c
_insert = insert(users).values({column.name: bindparam(column.name) for column in users.columns})
_INSERT = Query(_insert, name="insert user")
_INSERT_IF_ABSENT = Query(
    _insert.on_conflict_do_nothing(index_elements=["partner_id", "email_lookup"]), name="insert user if absent"
)
_by_id = select(users).where(_u.user_id == bindparam("user_id"))
# any owner: the caller's session or refresh token names the user
_GET = Query(_by_id, name="get user")
# any owner: a verified sign-up names the user
_LOCK = Query(_by_id.with_for_update(), name="lock user")
_ids = func.unnest(bindparam("user_ids", type_=ARRAY(Text)))
_wanted = _ids.table_valued("user_id", with_ordinality="n").render_derived("wanted")
# any owner: reads of all callers are batched; GetUser asks `ownership.may_see_user`, BatchGetUsers is internal
_GET_MANY = Query(
    select(_wanted.c.n, users).join_from(_wanted, users, _u.user_id == _wanted.c.user_id),
    name="get users",
)
_get_person = select(users).where(_u.email_lookup == bindparam("email_lookup"), _u.partner_id.is_(None))
# any owner: by the address of a person who signs in or up
_GET_PERSON = Query(_get_person, name="get person")
# any owner: by the address of a person who signs up, or of the operator
_LOCK_PERSON = Query(_get_person.with_for_update(), name="lock person")
_UPDATED = (
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
    update(users).where(_u.user_id == bindparam("id")).values({name: bindparam(name) for name in _UPDATED}),
    name="update user",
)
# any owner: of a user whom the transaction has inserted or locked
_NEXT_SEQUENCE = Query(
    update(users)
    .where(_u.user_id == bindparam("id"))
    .values(events=_u.events + 1)
    .returning(_u.events, _u.partner_id, _u.mode),
    name="next sequence of user",
)
# any owner: of a user whom the transaction has locked
_ACTIVATE = Query(
    update(users)
    .where(_u.user_id == bindparam("id"))
    .values(
        email_sealed=bindparam("email_sealed"),
        display_name_sealed=bindparam("display_name_sealed"),
        password_hash=bindparam("password_hash"),
        state=ACTIVE,
        revision=_u.revision + 1,
        updated_at=bindparam("now"),
    ),
    name="activate user",
)
# any owner: of a user who has just given the password
_REHASH = Query(
    update(users)
    .where(_u.user_id == bindparam("id"), _u.password_hash == bindparam("old"))
    .values(password_hash=bindparam("new")),
    name="rehash password",
)
# any owner: of a user whom the transaction has locked
_SET_PASSWORD = Query(
    update(users).where(_u.user_id == bindparam("id")).values(password_hash=bindparam("password_hash")),
    name="set password",
)
# any owner: the operator is configured by the environment
_UPDATE_OPERATOR = Query(
    update(users)
    .where(_u.user_id == bindparam("id"))
    .values(
        roles=bindparam("roles"),
        plan=bindparam("plan"),
        state=ACTIVE,
        password_hash=bindparam("password_hash"),
        revision=_u.revision + 1,
        updated_at=bindparam("now"),
    ),
    name="update operator",
)
# any owner: of a person whom the transaction has locked
_SET_EMAIL = Query(
    update(users)
    .where(_u.user_id == bindparam("id"))
    .values(
        email_sealed=bindparam("email_sealed"),
        email_lookup=bindparam("email_lookup"),
        revision=_u.revision + 1,
        updated_at=bindparam("now"),
    ),
    name="set email",
)
# any owner: of a person whom the transaction has locked
_SET_PHONE = Query(
    update(users)
    .where(_u.user_id == bindparam("id"))
    .values(
        phone_sealed=bindparam("phone_sealed"),
        phone_lookup=bindparam("phone_lookup"),
        phone_verified_at=bindparam("now"),
        revision=_u.revision + 1,
        updated_at=bindparam("now"),
    ),
    name="set phone",
)


@contextmanager
def _taken(external_reference: str = "") -> Iterator[None]:
    """Turns the violation of a unique index into `EmailTaken` or `ExternalReferenceTaken`."""
    try:
        yield
    except psycopg.errors.UniqueViolation as error:
        if violated(error) == "users_email":
            raise EmailTaken() from None
        if violated(error) == "users_external_reference":
            raise ExternalReferenceTaken(external_reference=external_reference) from None
        raise


class UserRepository:
    """Users of all kinds."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._rows = UserRows(vault)
        self._by_id = Lookup(database, _GET_MANY, ("user_ids",))

    def lookup(self, email: str) -> bytes:
        """The keyed hash by which the address of a person is looked up."""
        return self._rows.lookup(email)

    async def get(self, user_id: str) -> User | None:
        """A user; reads of concurrent calls are batched."""
        return self._rows.read(await self._by_id.find(user_id))

    async def insert_if_absent(self, tx: Transaction, user: User) -> bool:
        """Insert, unless the address is taken; returns whether it was inserted."""
        return await tx.run(_INSERT_IF_ABSENT, **self._rows.values(user)) == 1

    async def list(self, owner: Owner, limit: int, after: str, filters: Mapping[str, Any]) -> Sequence[User]:
        """Up to `limit` users older than `after`, newest first.

        `filters`: `states`, `email`, `external_reference`, `created_from`, `created_to` (times).
        """
        values = {**filters, **owner.values}
        if "email" in values:
            email, among = values.pop("email"), [owner.mode] if owner.mode else modes.ALL
            values["email_lookups"] = [self._rows.lookup(email, mode) for mode in among]
        statement = list_statements.query(frozenset(values) - {"states"}, tuple(values.pop("states", ())))
        values |= list_statements.bounds(filters.get("created_from"), filters.get("created_to"))
        return [
            self._rows.read_erased(row)
            for row in await self._database.all(statement, limit=limit, after=after, **values)
        ]

    async def get_in(self, tx: Transaction, user_id: str) -> User | None:
        """A user, as the transaction sees it."""
        return self._rows.read(await tx.first(_GET, user_id=user_id))

    async def get_many(self, user_ids: Sequence[str]) -> Sequence[User]:
        """The users that exist, in no order."""
        rows = await self._by_id.find_all([(user_id,) for user_id in sorted(set(user_ids))])
        return [user for row in rows if (user := self._rows.read(row)) is not None]

    async def get_person(self, email: str) -> User | None:
        """The user with an address who belongs to no partner."""
        return self._rows.read(await self._database.first(_GET_PERSON, email_lookup=self._rows.lookup(email)))

    async def lock_person(self, tx: Transaction, email: str) -> User | None:
        """The user with an address who belongs to no partner, locked until the transaction ends."""
        return self._rows.read(await tx.first(_LOCK_PERSON, email_lookup=self._rows.lookup(email)))

    async def lock(self, tx: Transaction, user_id: str) -> User | None:
        """A user, locked until the transaction ends."""
        return self._rows.read(await tx.first(_LOCK, user_id=user_id))

    async def lock_erased(self, tx: Transaction, user_id: str) -> User | None:
        """The same, also of a user who was erased."""
        row = await tx.first(_LOCK, user_id=user_id)
        return self._rows.read_erased(row) if row else None

    async def insert(self, tx: Transaction, user: User) -> None:
        """Insert. Raises `EmailTaken` or `ExternalReferenceTaken`, also against concurrent inserts."""
        with _taken(user.external_reference):
            await tx.run(_INSERT, **self._rows.values(user))

    async def update(self, tx: Transaction, user: User) -> None:
        """Store all of a locked user but roles, plan, password and counters. Raises `EmailTaken` or `ExternalReferenceTaken`."""
        values = self._rows.values(user)
        with _taken(user.external_reference):
            await tx.run(_UPDATE, id=user.user_id, **{name: values[name] for name in _UPDATED})

    async def next_sequence(self, tx: Transaction, user_id: str) -> int:
        """The sequence number of the user's next event."""
        return (await self.next_event(tx, user_id))[0]

    async def next_event(self, tx: Transaction, user_id: str) -> tuple[int, str, str]:
        """The sequence number of the user's next event, and the partner and the mode that it belongs to."""
        row = await tx.one(_NEXT_SEQUENCE, id=user_id)
        return int(row.events), row.partner_id or "", row.mode

    async def activate(self, tx: Transaction, user_id: str, verified: User) -> None:
        """Open an invited user's account, with the password and the name of the verified sign-up."""
        values = self._rows.values(verified)
        changed = {name: values[name] for name in ("email_sealed", "display_name_sealed", "password_hash")}
        await tx.run(_ACTIVATE, id=user_id, now=verified.updated_at, **changed)

    async def rehash_password(self, user: User, password_hash: str) -> None:
        """Store a hash of the same password with the current parameters, unless the password has changed since `user` was read."""
        await self._database.run(_REHASH, id=user.user_id, old=user.password_hash, new=password_hash)

    async def set_password(self, tx: Transaction, user_id: str, password_hash: str) -> None:
        """Replace the password of a locked user."""
        await tx.run(_SET_PASSWORD, id=user_id, password_hash=password_hash)

    async def set_email(self, tx: Transaction, user_id: str, email: str, now: datetime) -> None:
        """Replace the address of a locked person. Raises `EmailTaken`, also against concurrent changes."""
        with _taken():
            await tx.run(_SET_EMAIL, id=user_id, now=now, **self._rows.email(email))

    async def set_phone(self, tx: Transaction, user_id: str, phone: str, now: datetime) -> None:
        """Set the number of a locked person, who has just proved it."""
        await tx.run(_SET_PHONE, id=user_id, now=now, **self._rows.phone(phone))

    async def update_operator(self, tx: Transaction, user_id: str, operator: User) -> None:
        """Set roles, plan and password to those of `operator`, and the state to active."""
        await tx.run(
            _UPDATE_OPERATOR,
            id=user_id,
            roles=list(operator.roles),
            plan=operator.plan,
            password_hash=operator.password_hash,
            now=operator.updated_at,
        )
