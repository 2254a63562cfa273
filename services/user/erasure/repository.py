"""Every query that erases or reads what the user service holds of a person."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import LargeBinary, Table, bindparam, delete, null, select, update

from chassis.security import sealed
from chassis.security.encryption import Vault
from chassis.security.sealed import SUFFIX
from chassis.storage.database import Database, Query, Transaction
from services.user.metadata import metadata
from services.user.users.domain import DELETED
from services.user.users.tables import DISPLAY_NAME, EMAIL, users

# any owner: of a user whom the transaction has locked
_ANONYMISE = Query(
    update(users)
    .where(users.c.user_id == bindparam("id"))
    .values(
        email_sealed=bindparam("email_sealed"),
        email_lookup=bindparam("email_lookup"),
        display_name_sealed=bindparam("display_name_sealed"),
        profile_sealed=null(),
        phone_sealed=null(),
        phone_lookup=null(),
        phone_verified_at=null(),
        locale="en",
        time_zone=null(),
        state=DELETED,
        external_reference=null(),
        roles=[],
        plan="free",
        password_hash=null(),
        revision=users.c.revision + 1,
        updated_at=bindparam("now"),
    ),
    name="anonymise user",
)
MAX_ROWS = 1000
"""Of one table, in an export."""
_HIDDEN = ("_sealed", "_hash", "_lookup", "_hashes")


class Owned(NamedTuple):
    """A row that belongs to a person: its table, its key, and its columns without secrets."""

    table: str
    key: str
    columns: dict[str, Any]


class PersonRepository:
    """Rows that belong to a user alone, of whatever table: a new one is exported and erased without being named here."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        owned = [table for table in metadata.sorted_tables if table.info.get("owner") == ("user_id",)]
        # any owner: of a person who is erased or exported
        self._deletes = [
            Query(delete(table).where(table.c.user_id == bindparam("user_id")), name=f"erase {table.name}")
            for table in reversed(owned)
        ]
        self._sealed = {table.name: _opened(table) for table in owned}
        self._keys = {table.name: [column.name for column in table.primary_key.columns] for table in owned}
        self._reads = [(table.name, _read(table)) for table in owned if _shown(table)]

    async def delete_owned(self, tx: Transaction, user_id: str) -> None:
        """Delete every row that belongs to the user: sessions, factors, codes, consents."""
        for statement in self._deletes:
            await tx.run(statement, user_id=user_id)

    async def anonymise(self, tx: Transaction, user_id: str, now: datetime) -> None:
        """Leave of a locked user nothing but id, partner and times; the address is free for others."""
        await tx.run(
            _ANONYMISE,
            id=user_id,
            now=now,
            email_sealed=self._vault.seal(b"", EMAIL),
            email_lookup=secrets.token_bytes(32),
            display_name_sealed=self._vault.seal(b"", DISPLAY_NAME),
        )

    async def read_owned(self, user_id: str) -> Sequence[Owned]:
        """The rows that belong to the user, without what is secret."""
        found = []
        for table, statement in self._reads:
            for row in await self._database.all(statement, user_id=user_id):
                columns = row._asdict()
                for name, context in self._sealed[table].items():
                    if (value := columns.pop(name)) is not None:
                        columns[name.removesuffix(SUFFIX)] = self._vault.open(value, context).decode()
                key = "/".join(str(columns[name]) for name in self._keys[table] if name in columns)
                found.append(Owned(table, key, columns))
        return found


def _opened(table: Table) -> dict[str, str]:
    """The encrypted columns that an export shows, with their contexts."""
    return {name: column.context for name, column in sealed.columns(table).items() if column.shown}


def _shown(table: Table) -> list[str]:
    opened = _opened(table)
    names = [
        each.name
        for each in table.columns
        if each.name in opened or (not isinstance(each.type, LargeBinary) and not each.name.endswith(_HIDDEN))
    ]
    return names if set(names) - {"user_id"} else []


def _read(table: Table) -> Query:
    columns = [table.c[name] for name in _shown(table)]
    return Query(
        select(*columns).where(table.c.user_id == bindparam("user_id")).limit(MAX_ROWS), name=f"export {table.name}"
    )
