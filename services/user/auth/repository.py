"""Every query on sessions and refresh tokens. No token is kept: only hashes are."""

import hashlib
from datetime import datetime

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.storage.database import Database, Query, Transaction
from services.user.auth.domain import KEPT_TOKENS, MOST_SESSIONS, SESSION_LIFE, HeldToken, refresh_token_end
from services.user.sessions.tables import refresh_tokens, sessions
from services.user.users.tables import users

_s, _r = sessions.c, refresh_tokens.c

# Sign-ins of one person take turns, so that there are never more sessions than there may be.
LOCK_PERSON = Query(
    select(users.c.user_id).where(users.c.user_id == bindparam("user_id")).with_for_update(key_share=True),
    name="lock person",
)
_oldest = (
    select(_s.session_id)
    .where(_s.user_id == bindparam("user_id"), _s.ended_at.is_(None), _s.expires_at > bindparam("now"))
    .order_by(_s.session_id.desc())
    .offset(MOST_SESSIONS - 1)
    .limit(1000)
)
END_OLDEST = Query(
    update(sessions).where(_s.session_id.in_(_oldest)).values(ended_at=bindparam("now")), name="end oldest sessions"
)
ADD_SESSION = Query(
    insert(sessions).values(
        session_id=bindparam("session_id"),
        user_id=bindparam("user_id"),
        created_at=bindparam("now"),
        expires_at=bindparam("expires_at"),
    ),
    name="add session",
)
END_SESSION = Query(
    update(sessions).where(_s.session_id == bindparam("id"), _s.ended_at.is_(None)).values(ended_at=bindparam("now")),
    name="end session",
)
_ADD_TOKEN = insert(refresh_tokens).values(
    token_hash=bindparam("token_hash"),
    session_id=bindparam("session_id"),
    created_at=bindparam("now"),
    expires_at=bindparam("expires_at"),
)
ADD_TOKEN = Query(_ADD_TOKEN, name="add refresh token")
# The session's row is the lock: of two refreshes at once the second sees that the first has used the token.
LOCK_SESSION_OF = Query(
    select(_s.session_id)
    .where(_s.session_id == select(_r.session_id).where(_r.token_hash == bindparam("token_hash")).scalar_subquery())
    .with_for_update(),
    name="lock session",
)
FIND_TOKEN = Query(
    select(
        _r.token_hash,
        _r.session_id,
        _s.user_id,
        _r.expires_at,
        _r.used_at,
        _s.expires_at.label("session_expires_at"),
        _s.ended_at.label("session_ended_at"),
    )
    .join_from(refresh_tokens, sessions, _s.session_id == _r.session_id)
    .where(_r.token_hash == bindparam("token_hash")),
    name="find refresh token",
)
USE_TOKEN = Query(
    update(refresh_tokens).where(_r.token_hash == bindparam("hash")).values(used_at=bindparam("now")),
    name="use refresh token",
)
_forgotten = (
    select(_r.token_hash)
    .where(_r.session_id == bindparam("id"))
    .order_by(_r.created_at.desc())
    .offset(KEPT_TOKENS)
    .limit(1000)
)
FORGET_TOKENS = Query(delete(refresh_tokens).where(_r.token_hash.in_(_forgotten)), name="forget refresh tokens")


class SessionRepository:
    """Sessions and the refresh tokens that they have had."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, session_id: str, user_id: str, token: str, now: datetime) -> None:
        """A new session with its first refresh token; the oldest one ends where there are too many."""
        expires_at = now + SESSION_LIFE
        async with self._database.transaction() as tx:
            await tx.first(LOCK_PERSON, user_id=user_id)
            await tx.run(END_OLDEST, user_id=user_id, now=now)
            await tx.run(ADD_SESSION, session_id=session_id, user_id=user_id, now=now, expires_at=expires_at)
            await self._add_token(tx, session_id, token, now, expires_at)

    async def lock(self, tx: Transaction, token: str) -> HeldToken | None:
        """A refresh token that was issued, its session locked until the transaction ends."""
        if await tx.first(LOCK_SESSION_OF, token_hash=_digest(token)) is None:
            return None
        return HeldToken(*await tx.one(FIND_TOKEN, token_hash=_digest(token)))

    async def rotate(self, tx: Transaction, held: HeldToken, token: str, now: datetime) -> None:
        """The held token is used; `token` takes its place."""
        await tx.run(USE_TOKEN, hash=held.token_hash, now=now)
        await self._add_token(tx, held.session_id, token, now, held.session_expires_at)
        await tx.run(FORGET_TOKENS, id=held.session_id)

    async def end_in(self, tx: Transaction, session_id: str, now: datetime) -> None:
        """End a session in a transaction."""
        await tx.run(END_SESSION, id=session_id, now=now)

    async def end(self, session_id: str, now: datetime) -> None:
        """End a session; one that has ended stays as it is."""
        await self._database.run(END_SESSION, id=session_id, now=now)

    async def end_of(self, token: str, now: datetime) -> None:
        """End the session of a refresh token, if there is one."""
        row = await self._database.first(FIND_TOKEN, token_hash=_digest(token))
        if row is not None:
            await self.end(row.session_id, now)

    async def _add_token(
        self, tx: Transaction, session_id: str, token: str, now: datetime, session_expires_at: datetime
    ) -> None:
        await tx.run(
            ADD_TOKEN,
            token_hash=_digest(token),
            session_id=session_id,
            now=now,
            expires_at=refresh_token_end(now, session_expires_at),
        )


def _digest(token: str) -> bytes:
    # 256 random bits need no slow hash.
    return hashlib.sha256(token.encode()).digest()
