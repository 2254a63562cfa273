"""Every query on passkeys and answered challenges. Names are encrypted; public keys are public."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import psycopg
from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.rpc.pagination import NEWEST
from chassis.security.encryption import Vault
from chassis.storage.database import Database, Query, Row, Transaction, newest_first, violated
from services.user.ownership import of_user
from services.user.passkeys.domain import MAX_PASSKEYS, Passkey, PasskeyInvalid
from services.user.passkeys.tables import DISPLAY_NAME, passkeys, used_challenges

_p = passkeys.c
_LIST = Query(newest_first(select(passkeys).where(of_user(passkeys)), _p.passkey_id), name="list passkeys")
_LOCK = Query(
    select(passkeys).where(of_user(passkeys), _p.passkey_id == bindparam("passkey_id")).with_for_update(),
    name="lock passkey",
)
# any owner: whoever signs in is told by the credential
_FIND = Query(select(passkeys).where(_p.credential_id == bindparam("credential_id")), name="find passkey")
_INSERT = Query(
    insert(passkeys).values({column.name: bindparam(column.name) for column in passkeys.columns}),
    name="insert passkey",
)
_UPDATE = Query(
    update(passkeys)
    .where(of_user(passkeys), _p.passkey_id == bindparam("id"))
    .values(display_name_sealed=bindparam("display_name_sealed"), revision=bindparam("revision")),
    name="update passkey",
)
_USE = Query(
    update(passkeys)
    .where(of_user(passkeys), _p.passkey_id == bindparam("id"))
    .values(sign_count=bindparam("sign_count"), backed_up=bindparam("backed_up"), last_used_at=bindparam("now")),
    name="use passkey",
)
_DELETE = Query(delete(passkeys).where(of_user(passkeys), _p.passkey_id == bindparam("id")), name="delete passkey")
_USE_CHALLENGE = Query(
    insert(used_challenges)
    .values(challenge_hash=bindparam("challenge_hash"), expires_at=bindparam("expires_at"))
    .on_conflict_do_nothing(),
    name="use challenge",
)


class PasskeyRepository:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def list(self, user_id: str, limit: int = MAX_PASSKEYS, after: str = NEWEST) -> Sequence[Passkey]:
        """Up to `limit` passkeys of a user older than `after`, newest first; by default all."""
        rows = await self._database.all(_LIST, user_id=user_id, limit=limit, after=after)
        return [self._read(row) for row in rows]

    async def list_in(self, tx: Transaction, user_id: str) -> Sequence[Passkey]:
        """All of a user, as the transaction sees them."""
        rows = await tx.all(_LIST, user_id=user_id, limit=MAX_PASSKEYS, after=NEWEST)
        return [self._read(row) for row in rows]

    async def find(self, credential_id: bytes) -> Passkey | None:
        """The passkey with a credential id, whoever has it."""
        row = await self._database.first(_FIND, credential_id=credential_id)
        return self._read(row) if row else None

    async def lock(self, tx: Transaction, user_id: str, passkey_id: str) -> Passkey | None:
        """A passkey of a user, locked until the transaction ends."""
        row = await tx.first(_LOCK, user_id=user_id, passkey_id=passkey_id)
        return self._read(row) if row else None

    async def insert(self, tx: Transaction, passkey: Passkey) -> None:
        """Insert. Raises `PasskeyInvalid` for a credential that somebody has already."""
        try:
            await tx.run(
                _INSERT,
                passkey_id=passkey.passkey_id,
                user_id=passkey.user_id,
                credential_id=passkey.credential_id,
                public_key=passkey.public_key,
                sign_count=passkey.sign_count,
                display_name_sealed=self._seal(passkey.display_name),
                backed_up=passkey.backed_up,
                created_at=passkey.created_at,
                last_used_at=None,
                revision=passkey.revision,
            )
        except psycopg.errors.UniqueViolation as error:
            if violated(error) == "passkeys_credential":
                raise PasskeyInvalid() from None
            raise

    async def update(self, tx: Transaction, passkey: Passkey) -> None:
        """Store the name of a locked passkey."""
        await tx.run(
            _UPDATE,
            user_id=passkey.user_id,
            id=passkey.passkey_id,
            display_name_sealed=self._seal(passkey.display_name),
            revision=passkey.revision,
        )

    async def use(self, tx: Transaction, passkey: Passkey, count: int, backed_up: bool, now: datetime) -> None:
        """Store the counter of a locked passkey."""
        values = {"user_id": passkey.user_id, "id": passkey.passkey_id, "now": now}
        await tx.run(_USE, sign_count=count, backed_up=backed_up, **values)

    async def delete(self, tx: Transaction, user_id: str, passkey_id: str) -> bool:
        """Delete; returns whether there was one."""
        return await tx.run(_DELETE, user_id=user_id, id=passkey_id) == 1

    async def use_challenge(self, tx: Transaction, challenge: bytes, expires_at: datetime) -> bool:
        """Use up a challenge; true for only one of several concurrent callers."""
        digest = hashlib.sha256(challenge).digest()
        return await tx.run(_USE_CHALLENGE, challenge_hash=digest, expires_at=expires_at) == 1

    def _seal(self, name: str) -> bytes:
        return self._vault.seal(name.encode(), DISPLAY_NAME)

    def _read(self, row: Row) -> Passkey:
        return Passkey(
            passkey_id=row.passkey_id,
            user_id=row.user_id,
            credential_id=bytes(row.credential_id),
            public_key=bytes(row.public_key),
            sign_count=row.sign_count,
            display_name=self._vault.open(row.display_name_sealed, DISPLAY_NAME).decode(),
            backed_up=row.backed_up,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            revision=row.revision,
        )
