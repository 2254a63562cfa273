"""Idempotency keys: one effect and one response for each key, even when it is sent twice, late, or concurrently.

The record is written in the transaction of the effect, so one exists if and only if the other does. Only successes are
stored. A second call that arrives while the first one runs waits for it: in the same process for its end, in another
process on the unique index, for at most `lock_timeout`.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import psycopg
from google.protobuf.message import Message
from sqlalchemy import Column, DateTime, Index, LargeBinary, MetaData, Table, Text

from chassis import errors
from chassis.clock import Clock
from chassis.security.encryption import Vault
from chassis.security.sealed import sealed
from chassis.storage import retention
from chassis.storage.database import Database, Query, Transaction, violated
from contract.sensitive import Sensitive

RETENTION = timedelta(hours=24)
TABLE = "idempotency"
CONTEXT = "idempotency"
"""Of replies with sensitive fields, which are encrypted."""
CONSTRAINT = f"{TABLE}_pkey"
"""Violated by a second writer of the same key."""

_INSERT = Query(
    "INSERT INTO idempotency (id, fingerprint, reply, users, created_at) "
    "VALUES (%(id)s, %(fingerprint)s, %(reply)s, %(users)s, %(created_at)s)",
    name="remember reply",
)
_USER_ID = re.compile(rb"usr_[0-7][0-9a-hjkmnp-tv-z]{25}")
_FIND = Query("SELECT fingerprint, reply FROM idempotency WHERE id = %(id)s", name="find reply")


def table(metadata: MetaData) -> Table:
    """Stored replies. `id` is a hash of caller, method and key."""
    return Table(
        TABLE,
        metadata,
        Column("id", LargeBinary, primary_key=True),
        Column("fingerprint", LargeBinary, nullable=False),
        Column("reply", LargeBinary, nullable=False, info=sealed(CONTEXT, mixed=True)),
        Column("created_at", DateTime(timezone=True), nullable=False),
        # Ids of the users whom an encrypted reply names, for their erasure.
        Column("users", Text, nullable=False, server_default=""),
        Index("idempotency_created_at", "created_at"),
        info=retention.delete(retention.Expiry("created_at", RETENTION)),
    )


class Record(NamedTuple):
    """A row of the table, for handlers that insert it in a statement of their own."""

    id: bytes
    fingerprint: bytes
    reply: bytes
    users: str
    created_at: datetime


@dataclass(slots=True)
class IdempotencyKey:
    """The key of a call. A handler of a keyed method stores its reply with `remember` or writes `record` itself."""

    id: bytes
    fingerprint: bytes
    clock: Clock
    vault: Vault
    sensitive: Sensitive
    recorded: bool = field(default=False)

    def record(self, reply: Message) -> Record:
        """The row to insert with the effect; a reply in which sensitive fields are set is encrypted."""
        self.recorded = True
        stored, users = reply.SerializeToString(), ""
        if self.sensitive.is_in(reply):
            users = " ".join(sorted({found.decode() for found in _USER_ID.findall(stored)}))
            stored = self.vault.seal(stored, CONTEXT)
        return Record(self.id, self.fingerprint, stored, users, self.clock.now())

    async def remember(self, tx: Transaction, reply: Message) -> None:
        """Insert the row in the transaction of the effect."""
        await tx.run(_INSERT, **self.record(reply)._asdict())


class Replies:
    """Finds stored replies, and serialises calls of one process that have the same key."""

    def __init__(self, database: Database, clock: Clock, vault: Vault) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._running: dict[bytes, asyncio.Future[None]] = {}

    def key(self, caller: str, method: str, key: str, request: Message, sensitive: Sensitive) -> IdempotencyKey:
        """The key of a call: its id in the table, and the fingerprint of its request."""
        scope = hashlib.blake2b(f"{caller}\n{method}\n{key}".encode(), digest_size=16).digest()
        print_ = hashlib.blake2b(request.SerializeToString(deterministic=True), digest_size=16).digest()
        return IdempotencyKey(scope, print_, self._clock, self._vault, sensitive)

    async def turn(self, key: IdempotencyKey) -> asyncio.Future[None]:
        """Wait until no other call of this process holds the key. The caller holds it until it calls `end`."""
        while (other := self._running.get(key.id)) is not None:
            await asyncio.shield(other)
        turn = self._running[key.id] = asyncio.get_running_loop().create_future()
        return turn

    def end(self, key: IdempotencyKey, turn: asyncio.Future[None]) -> None:
        """Release the key for the next call."""
        self._running.pop(key.id, None)
        if not turn.done():
            turn.set_result(None)

    async def find(self, key: IdempotencyKey) -> bytes | None:
        """The stored reply, or None. Raises `IdempotencyKeyReused` where the key was used with another request."""
        row = await self._database.first(_FIND, id=key.id)
        if row is None:
            return None
        if row.fingerprint != key.fingerprint:
            raise errors.IdempotencyKeyReused()
        # No message begins as a sealed value does, with a byte 1.
        return self._vault.open(row.reply, CONTEXT) if self._vault.key_of(row.reply) else bytes(row.reply)


def collided(error: Exception) -> bool:
    """Whether the error means that another call with the same key has been stored, or still holds the key.

    PostgreSQL names what a lock time-out waited for only in the error's context: "while inserting index tuple … in relation …".
    """
    if isinstance(error, psycopg.errors.UniqueViolation):
        return violated(error) == CONSTRAINT
    context = error.diag.context or "" if isinstance(error, psycopg.errors.LockNotAvailable) else ""
    return f'"{CONSTRAINT}"' in context or f'"{TABLE}"' in context
