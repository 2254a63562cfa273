"""Every query on users. Addresses and names are encrypted when written and decrypted when read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import ARRAY, Text, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from weft.user.v1 import user_pb2

from chassis.security import modes
from chassis.security.encryption import Vault
from chassis.storage.database import Database, Query, Row, Transaction, violated
from chassis.storage.lookups import Lookup
from services.user.users import listing, messages
from services.user.users.domain import ACTIVE, DELETED, EmailTaken, ExternalReferenceTaken, User, fold
from services.user.users.tables import DISPLAY_NAME, EMAIL, PHONE, PROFILE, users

_HASHED = {modes.LIVE: EMAIL, modes.TEST: "user.email.test"}
"""The context of an address's hash. One for each mode makes addresses unique within it, by the index that there was."""

_u = users.c
_insert = insert(users).values({column.name: bindparam(column.name) for column in users.columns})
_INSERT = Query(_insert, name="insert user")
_INSERT_IF_ABSENT = Query(
    _insert.on_conflict_do_nothing(index_elements=["partner_id", "email_lookup"]), name="insert user if absent"
)
_get = select(users).where(_u.user_id == bindparam("user_id"))
# any owner: the caller's session or refresh token names the user
_GET = Query(_get, name="get user")
# any owner: a verified sign-up names the user
_LOCK = Query(_get.with_for_update(), name="lock user")
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
def taken(external_reference: str = "") -> Iterator[None]:
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
        self._vault = vault
        self._by_id = Lookup(database, _GET_MANY, ("user_ids",))

    def lookup(self, email: str, mode: str = modes.LIVE) -> bytes:
        """The keyed hash by which an address is looked up; each mode has its own."""
        return self._vault.lookup(fold(email), _HASHED[mode])

    async def insert(self, tx: Transaction, user: User) -> None:
        """Insert. Raises `EmailTaken` or `ExternalReferenceTaken`, also against concurrent inserts."""
        with taken(user.external_reference):
            await tx.run(_INSERT, **self.values(user))

    async def insert_if_absent(self, tx: Transaction, user: User) -> bool:
        """Insert, unless the address is taken; returns whether it was inserted."""
        return await tx.run(_INSERT_IF_ABSENT, **self.values(user)) == 1

    async def get(self, user_id: str) -> User | None:
        """A user; reads of concurrent calls are batched."""
        return self._user(await self._by_id.find(user_id))

    async def get_in(self, tx: Transaction, user_id: str) -> User | None:
        """A user, as the transaction sees it."""
        return self._user(await tx.first(_GET, user_id=user_id))

    async def get_many(self, user_ids: Sequence[str]) -> list[User]:
        """The users that exist, in no order."""
        rows = await self._by_id.find_all([(user_id,) for user_id in sorted(set(user_ids))])
        return [user for row in rows if (user := self._user(row)) is not None]

    async def get_person(self, email: str) -> User | None:
        """The user with an address who belongs to no partner."""
        return self._user(await self._database.first(_GET_PERSON, email_lookup=self.lookup(email)))

    async def lock_person(self, tx: Transaction, email: str) -> User | None:
        """The user with an address who belongs to no partner, locked until the transaction ends."""
        return self._user(await tx.first(_LOCK_PERSON, email_lookup=self.lookup(email)))

    async def lock(self, tx: Transaction, user_id: str) -> User | None:
        """A user, locked until the transaction ends."""
        return self._user(await tx.first(_LOCK, user_id=user_id))

    async def lock_erased(self, tx: Transaction, user_id: str) -> User | None:
        """The same, also of a user who was erased."""
        row = await tx.first(_LOCK, user_id=user_id)
        return None if row is None else self._open(row)

    async def list(self, limit: int, after: str, filters: dict[str, Any]) -> list[User]:
        """Up to `limit` users older than `after`, newest first.

        Filters: partner_id, mode (always with it), states, email, external_reference, created_from, created_to.
        """
        values = {**filters, "after": after} if after else dict(filters)
        if "email" in values:
            email, among = values.pop("email"), [filters["mode"]] if "mode" in filters else modes.ALL
            values["email_lookups"] = [self.lookup(email, mode) for mode in among]
        statement = listing.query(frozenset(values) - {"states"}, tuple(values.pop("states", ())))
        values |= listing.bounds(filters.get("created_from"), filters.get("created_to"))
        return [self._open(row) for row in await self._database.all(statement, limit=limit, **values)]

    async def next_sequence(self, tx: Transaction, user_id: str) -> int:
        """The sequence number of the user's next event."""
        return (await self.next_event(tx, user_id))[0]

    async def next_event(self, tx: Transaction, user_id: str) -> tuple[int, str, str]:
        """The sequence number of the user's next event, and the partner and the mode that it belongs to."""
        row = await tx.one(_NEXT_SEQUENCE, id=user_id)
        return int(row.events), row.partner_id or "", row.mode

    async def activate(self, tx: Transaction, user_id: str, verified: User) -> None:
        """Open an invited user's account, with the password and the name of the verified sign-up."""
        values = self.values(verified)
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
        values = {"email_sealed": self._vault.seal(email.encode(), EMAIL), "email_lookup": self.lookup(email)}
        with taken():
            await tx.run(_SET_EMAIL, id=user_id, now=now, **values)

    async def set_phone(self, tx: Transaction, user_id: str, phone: str, now: datetime) -> None:
        """Set the number of a locked person, who has just proved it."""
        values = {
            "phone_sealed": self._vault.seal(phone.encode(), PHONE),
            "phone_lookup": self._vault.lookup(phone, PHONE),
        }
        await tx.run(_SET_PHONE, id=user_id, now=now, **values)

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

    def values(self, user: User) -> dict[str, Any]:
        """The columns of a user, encrypted."""
        return {
            "user_id": user.user_id,
            "partner_id": user.partner_id or None,
            "email_sealed": self._vault.seal(user.email.encode(), EMAIL),
            "email_lookup": self.lookup(user.email, user.mode),
            "display_name_sealed": self._vault.seal(user.display_name.encode(), DISPLAY_NAME),
            **self._sealed_profile(user),
            "locale": user.locale,
            "time_zone": user.time_zone or None,
            "state": user.state,
            "external_reference": user.external_reference or None,
            "roles": list(user.roles),
            "plan": user.plan,
            "password_hash": user.password_hash or None,
            "revision": user.revision,
            "events": user.events,
            "token_generation": user.token_generation,
            "created_at": user.created_at,
            "updated_at": user.updated_at,
            "mode": user.mode,
        }

    def _sealed_profile(self, user: User) -> dict[str, Any]:
        """The columns of what few users have: NULL where there is nothing."""
        profile = user_pb2.User(
            given_name=user.given_name or None,
            family_name=user.family_name or None,
            addresses=[messages.address_to_message(address) for address in user.addresses],
            metadata=user.metadata,
        ).SerializeToString()
        return {
            "profile_sealed": self._vault.seal(profile, PROFILE) if profile else None,
            "phone_sealed": self._vault.seal(user.phone.encode(), PHONE) if user.phone else None,
            "phone_lookup": self._vault.lookup(user.phone, PHONE) if user.phone else None,
            "phone_verified_at": user.phone_verified_at if user.phone else None,
        }

    def _user(self, row: Row | None) -> User | None:
        # Of who was erased there is a row without a user.
        return None if row is None or row.state == DELETED else self._open(row)

    def _open(self, row: Row) -> User:
        profile = user_pb2.User()
        if row.profile_sealed:
            profile.ParseFromString(self._vault.open(row.profile_sealed, PROFILE))
        return User(
            user_id=row.user_id,
            partner_id=row.partner_id or "",
            email=self._vault.open(row.email_sealed, EMAIL).decode(),
            display_name=self._vault.open(row.display_name_sealed, DISPLAY_NAME).decode(),
            locale=row.locale,
            state=row.state,
            external_reference=row.external_reference or "",
            roles=tuple(row.roles),
            plan=row.plan,
            created_at=row.created_at,
            updated_at=row.updated_at,
            password_hash=row.password_hash or "",
            revision=row.revision,
            events=row.events,
            mode=row.mode,
            token_generation=row.token_generation,
            given_name=profile.given_name,
            family_name=profile.family_name,
            time_zone=row.time_zone or "",
            phone=self._vault.open(row.phone_sealed, PHONE).decode() if row.phone_sealed else "",
            phone_verified_at=row.phone_verified_at,
            addresses=messages.addresses_of(profile.addresses),
            metadata=dict(profile.metadata),
        )
