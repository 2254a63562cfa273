"""Signing keys at rest: their private half is sealed by the vault."""

from datetime import datetime

from sqlalchemy import ARRAY, Text, any_, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from chassis.security.encryption import Vault
from chassis.storage.database import Database, Query, Row, Transaction
from services.user.keys.domain import SigningKey
from services.user.keys.tables import signing_keys

PRIVATE = "signing_key.private"
_LOCK = 4_803_116_275_519
"""An arbitrary key: replicas that rotate at once take turns."""

_k = signing_keys.c
ALL = Query(select(signing_keys).order_by(_k.signs_from, _k.kid), name="list signing keys")
ADD = Query(
    insert(signing_keys).values({column.name: bindparam(column.name) for column in signing_keys.columns}),
    name="add signing key",
)
DELETE = Query(
    delete(signing_keys).where(_k.kid == any_(bindparam("kids", type_=ARRAY(Text)))), name="delete signing keys"
)
LOCK = Query(select(func.pg_advisory_xact_lock(_LOCK)), name="lock signing keys")


class KeyRepository:
    """The keys of this issuer."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def all(self) -> list[SigningKey]:
        """Every key that is still published."""
        return [self._open(row) for row in await self._database.all(ALL)]

    async def lock_all(self, tx: Transaction) -> list[SigningKey]:
        """Every key, with nobody else changing them until the transaction ends."""
        await tx.run(LOCK)
        return [self._open(row) for row in await tx.all(ALL)]

    async def add(self, tx: Transaction, key: SigningKey, now: datetime) -> None:
        """Insert."""
        sealed = self._vault.seal(key.private.encode(), PRIVATE)
        await tx.run(ADD, kid=key.kid, private_sealed=sealed, created_at=now, signs_from=key.signs_from)

    async def delete(self, tx: Transaction, kids: list[str]) -> None:
        """Stop publishing."""
        await tx.run(DELETE, kids=kids)

    def _open(self, row: Row) -> SigningKey:
        private = self._vault.open(row.private_sealed, PRIVATE).decode()
        return SigningKey(kid=row.kid, private=private, signs_from=row.signs_from)
