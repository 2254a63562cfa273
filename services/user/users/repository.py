"""Every query on users. Addresses and names are sealed on the way in and opened on the way out."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import psycopg
from sqlalchemy import ARRAY, Text, any_, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.security.encryption import Vault
from chassis.storage.database import Database, Query, Row, Transaction, violated
from chassis.storage.lookups import Lookup
from services.user.users.domain import ACTIVE, EmailTaken, ExternalReferenceTaken, User, fold
from services.user.users.tables import users

EMAIL, DISPLAY_NAME = "user.email", "user.display_name"

_u = users.c
_ADD = insert(users).values({column.name: bindparam(column.name) for column in users.columns})
ADD = Query(_ADD, name="add user")
ADD_IF_FREE = Query(_ADD.on_conflict_do_nothing(index_elements=["partner_id", "email_lookup"]), name="add user if free")
BY_ID = Query(select(users).where(_u.user_id == bindparam("user_id")), name="find user")
_ids = func.unnest(bindparam("user_ids", type_=ARRAY(Text)))
_wanted = _ids.table_valued("user_id", with_ordinality="n").render_derived("wanted")
BY_IDS = Query(
    select(_wanted.c.n, users).join_from(_wanted, users, _u.user_id == _wanted.c.user_id),
    name="find users",
)
_PERSON = select(users).where(_u.email_lookup == bindparam("email_lookup"), _u.partner_id.is_(None))
PERSON = Query(_PERSON, name="find person")
LOCK_PERSON = Query(_PERSON.with_for_update(), name="lock person")
LOCK_BY_ID = Query(select(users).where(_u.user_id == bindparam("user_id")).with_for_update(), name="lock user")
COUNT_EVENT = Query(
    update(users).where(_u.user_id == bindparam("id")).values(events=_u.events + 1).returning(_u.events),
    name="count event",
)
OPEN = Query(
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
    name="open account",
)
SET_PASSWORD = Query(
    update(users).where(_u.user_id == bindparam("id")).values(password_hash=bindparam("password_hash")),
    name="set password",
)
SET_OPERATOR = Query(
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
    name="set operator",
)
_FILTERS = {
    "partner_id": _u.partner_id == bindparam("partner_id"),
    "states": _u.state == any_(bindparam("states", type_=ARRAY(Text))),
    "email_lookup": _u.email_lookup == bindparam("email_lookup"),
    "external_reference": _u.external_reference == bindparam("external_reference"),
    "after": _u.user_id < bindparam("after"),
}


@cache
def _listing(names: frozenset[str]) -> Query:
    """A page, newest first, by the filters that are asked for: each combination keeps a plan of its own."""
    wanted = [_FILTERS[name] for name in sorted(names)]
    return Query(select(users).where(*wanted).order_by(_u.user_id.desc()).limit(bindparam("most")), name="list users")


class UserRepository:
    """Users, as tables keep them."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._by_id = Lookup(database, BY_IDS, ("user_ids",))

    def lookup(self, email: str) -> bytes:
        """The keyed hash that an address is found by."""
        return self._vault.lookup(fold(email), EMAIL)

    async def add(self, tx: Transaction, user: User) -> None:
        """Insert. Raises `EmailTaken` or `ExternalReferenceTaken`, whoever else inserts at once."""
        try:
            await tx.run(ADD, **self._values(user))
        except psycopg.errors.UniqueViolation as error:
            if violated(error) == "users_email":
                raise EmailTaken() from None
            if violated(error) == "users_external_reference":
                raise ExternalReferenceTaken(external_reference=user.external_reference) from None
            raise

    async def add_if_free(self, tx: Transaction, user: User) -> bool:
        """Insert, unless the address is taken; whether it was free."""
        return await tx.run(ADD_IF_FREE, **self._values(user)) == 1

    async def find(self, user_id: str) -> User | None:
        """One user."""
        return self._user(await self._by_id.find(user_id))

    async def find_in(self, tx: Transaction, user_id: str) -> User | None:
        """One user, as the transaction sees it."""
        return self._user(await tx.first(BY_ID, user_id=user_id))

    async def find_all(self, user_ids: Sequence[str]) -> list[User]:
        """Those that exist."""
        rows = await self._by_id.find_all([(user_id,) for user_id in sorted(set(user_ids))])
        return [self._open(row) for row in rows if row is not None]

    async def find_person(self, email: str) -> User | None:
        """The one who signed up with an address."""
        return self._user(await self._database.first(PERSON, email_lookup=self.lookup(email)))

    async def lock_person(self, tx: Transaction, email: str) -> User | None:
        """The one who signed up with an address, until the transaction ends."""
        return self._user(await tx.first(LOCK_PERSON, email_lookup=self.lookup(email)))

    async def lock(self, tx: Transaction, user_id: str) -> User | None:
        """One user, until the transaction ends."""
        return self._user(await tx.first(LOCK_BY_ID, user_id=user_id))

    async def list(self, most: int, filters: dict[str, Any]) -> list[User]:
        """At most so many, newest first; `filters` by name: partner_id, states, email, external_reference, after."""
        values = dict(filters)
        if "email" in values:
            values["email_lookup"] = self.lookup(values.pop("email"))
        return [self._open(row) for row in await self._database.all(_listing(frozenset(values)), most=most, **values)]

    async def count_event(self, tx: Transaction, user_id: str) -> int:
        """The sequence number of the user's next event."""
        return int((await tx.one(COUNT_EVENT, id=user_id)).events)

    async def open(self, tx: Transaction, user_id: str, proven: User) -> None:
        """Give an account that waited for it to who has proven the address: their password, their name."""
        values = self._values(proven)
        kept = {name: values[name] for name in ("email_sealed", "display_name_sealed", "password_hash")}
        await tx.run(OPEN, id=user_id, now=proven.updated_at, **kept)

    async def set_password(self, user_id: str, password_hash: str) -> None:
        """Write a hash of the same password with newer parameters."""
        await self._database.run(SET_PASSWORD, id=user_id, password_hash=password_hash)

    async def set_operator(self, tx: Transaction, user_id: str, wanted: User) -> None:
        """Make an account what `wanted` says of roles, plan and password, and open it."""
        await tx.run(
            SET_OPERATOR,
            id=user_id,
            roles=list(wanted.roles),
            plan=wanted.plan,
            password_hash=wanted.password_hash,
            now=wanted.updated_at,
        )

    def _values(self, user: User) -> dict[str, Any]:
        return {
            "user_id": user.user_id,
            "partner_id": user.partner_id or None,
            "email_sealed": self._vault.seal(user.email.encode(), EMAIL),
            "email_lookup": self.lookup(user.email),
            "display_name_sealed": self._vault.seal(user.display_name.encode(), DISPLAY_NAME),
            "locale": user.locale,
            "state": user.state,
            "external_reference": user.external_reference or None,
            "roles": list(user.roles),
            "plan": user.plan,
            "password_hash": user.password_hash or None,
            "revision": user.revision,
            "events": user.events,
            "created_at": user.created_at,
            "updated_at": user.updated_at,
        }

    def _user(self, row: Row | None) -> User | None:
        return None if row is None else self._open(row)

    def _open(self, row: Row) -> User:
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
        )
