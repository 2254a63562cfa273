"""Every query on signing keys, whose private half is encrypted."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ARRAY, Text, any_, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from chassis.security.encryption import Vault
from chassis.storage.database import Database, Query, Row, Transaction
from services.user.keys.domain import SigningKey
from services.user.keys.tables import PRIVATE, signing_keys

CHANNEL = "signing_keys"
_ADVISORY_LOCK = 4_803_116_275_519
"""An arbitrary number: replicas rotate one after the other."""

_k = signing_keys.c
_LIST = Query(select(signing_keys).order_by(_k.signs_from, _k.kid), name="list signing keys")
_INSERT = Query(
    insert(signing_keys).values({column.name: bindparam(column.name) for column in signing_keys.columns}),
    name="insert signing key",
)
_DELETE = Query(
    delete(signing_keys).where(_k.kid == any_(bindparam("kids", type_=ARRAY(Text)))), name="delete signing keys"
)
# After the commit every replica reads the keys again.
_NOTIFY = Query(f"SELECT pg_notify('{CHANNEL}', '')", name="notify of signing keys")
_LOCK = Query(select(func.pg_advisory_xact_lock(_ADVISORY_LOCK)), name="lock signing keys")


class KeyRepository:
    """The signing keys of the issuer."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def list(self) -> Sequence[SigningKey]:
        """All published keys, oldest first."""
        return [self._read(row) for row in await self._database.all(_LIST)]

    async def lock(self, tx: Transaction) -> Sequence[SigningKey]:
        """All keys, oldest first; no other replica changes them until the transaction ends."""
        await tx.run(_LOCK)
        return [self._read(row) for row in await tx.all(_LIST)]

    async def insert(self, tx: Transaction, key: SigningKey, now: datetime) -> None:
        """Publish a key."""
        sealed = self._vault.seal(key.private.encode(), PRIVATE)
        await tx.run(_INSERT, kid=key.kid, private_sealed=sealed, created_at=now, signs_from=key.signs_from)
        await tx.run(_NOTIFY)

    async def delete(self, tx: Transaction, kids: Sequence[str]) -> None:
        """Stop publishing keys."""
        await tx.run(_DELETE, kids=[*kids])
        await tx.run(_NOTIFY)

    def _read(self, row: Row) -> SigningKey:
        private = self._vault.open(row.private_sealed, PRIVATE).decode()
        return SigningKey(kid=row.kid, private=private, signs_from=row.signs_from)
