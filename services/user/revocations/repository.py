"""Every query on revocations."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from chassis.clock import Clock
from chassis.storage.database import Database, Query, Row, Transaction

Kind = Literal["session", "token", "key", "user", "client", "partner", "member"]
CHANNEL = "revocations"
LIFETIME = timedelta(minutes=20)
"""Of a revocation: that of an access token, the tolerated skew of clocks, and some more."""
MAX_ROWS = 1000
"""In one read."""


def _revoke(kind: Kind, generations: str) -> Query:
    """`generations` returns `subject_id` and the first `generation` of its tokens that is not revoked."""
    return Query(
        f"WITH revoked AS ({generations}), inserted AS ("  # noqa: S608
        "INSERT INTO revocations (subject_id, generation, created_at, expires_at) "
        "SELECT subject_id, generation, %(now)s, %(expires_at)s FROM revoked RETURNING 1) "
        f"SELECT pg_notify('{CHANNEL}', '') FROM inserted",
        name=f"revoke {kind}",
    )


def _next_generation(table: str, key: str) -> str:
    return (
        f"UPDATE {table} SET token_generation = token_generation + 1 WHERE {key} = ANY(%(ids)s::text[]) "  # noqa: S608
        f"RETURNING {key} AS subject_id, token_generation AS generation"
    )


# any owner: whoever revokes has found the subject as its own
_REVOKE: dict[Kind, Query] = {
    "session": _revoke("session", "SELECT unnest(%(ids)s::text[]) AS subject_id, 1 AS generation"),
    "token": _revoke("token", "SELECT unnest(%(ids)s::text[]) AS subject_id, 1 AS generation"),
    "key": _revoke("key", "SELECT unnest(%(ids)s::text[]) AS subject_id, 1 AS generation"),
    "user": _revoke("user", _next_generation("users", "user_id")),
    "client": _revoke("client", _next_generation("clients", "client_id")),
    "partner": _revoke("partner", _next_generation("partners", "partner_id")),
    "member": _revoke("member", _next_generation("members", "member_id")),
}
_READ = Query(
    "SELECT xid::text, seq, subject_id, generation, created_at, expires_at, "
    "xid < pg_snapshot_xmin(pg_current_snapshot()) AS settled "
    "FROM revocations WHERE (xid, seq) > (%(xid)s::xid8, %(seq)s::bigint) ORDER BY xid, seq LIMIT %(limit)s",
    name="read revocations",
)
_EXISTS = Query(
    "SELECT true FROM revocations WHERE xid = %(xid)s::xid8 AND seq = %(seq)s AND created_at = %(at)s",
    name="find revocation",
)


class Position(NamedTuple):
    """After a revocation, which was made `at` microseconds after 1970."""

    xid: int
    seq: int
    at: int

    def __str__(self) -> str:
        return f"{self.xid}.{self.seq}.{self.at}"


START = Position(0, 0, 0)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class RevocationRepository:
    """Revocations. They belong into the transaction of what they follow from."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def revoke(self, tx: Transaction, kind: Kind, *subject_ids: str) -> None:
        """Refuse every access token of these sessions, signing keys, users, clients, partners or members that was issued until now.

        A session gets no token afterwards, and a key signs none. To the others, tokens that are issued from the state after this transaction
        are valid. A partner's tokens are those of its clients and members.
        """
        if subject_ids:
            now = self._clock.now()
            values = {"now": now, "expires_at": now + LIFETIME}
            await tx.all(_REVOKE[kind], ids=sorted(subject_ids), **values)

    async def read(self, after: Position) -> Sequence[Row]:
        """The next revocations, `MAX_ROWS` at most. Those that are not `settled` may still be preceded by others."""
        return await self._database.all(_READ, xid=str(after.xid), seq=after.seq, limit=MAX_ROWS)

    async def position(self, cursor: str) -> Position:
        """The position that a cursor stands for; the start where there is no such revocation, or not any more."""
        parts = cursor.split(".")
        if len(parts) != 3 or not all(part.isdigit() and len(part) < 19 for part in parts):
            return START
        found = Position(*map(int, parts))
        at = _EPOCH + found.at * _MICROSECOND
        row = await self._database.first(_EXISTS, xid=str(found.xid), seq=found.seq, at=at)
        return found if row is not None else START


def position_of(row: Row) -> Position:
    """The position after a row."""
    return Position(int(row.xid), row.seq, (row.created_at - _EPOCH) // _MICROSECOND)
