"""Every query on sessions and refresh tokens. Tokens are stored as hashes only."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import cache

from sqlalchemy import Text, bindparam, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.security.encryption import Vault
from chassis.storage.database import Query, Transaction
from services.user.keys.authentication import PASSWORD, Authentication
from services.user.metadata import metadata
from services.user.ownership import of_user
from services.user.revocations.repository import RevocationRepository
from services.user.sessions.domain import (
    APP_PREFIX,
    APP_SESSION_LIFETIME,
    MAX_OPEN_SESSIONS,
    MAX_STORED_TOKENS,
    NOWHERE,
    SESSION_LIFETIME,
    Place,
    RefreshToken,
    refresh_token_expiry,
    successor,
)
from services.user.sessions.tables import PLACE, refresh_tokens, sessions
from services.user.users.tables import users

_s, _r = sessions.c, refresh_tokens.c

# Sign-ins of one user run one after the other, so that the number of open sessions stays within its limit.
_LOCK_USER = Query(
    select(users.c.user_id).where(of_user(users)).with_for_update(key_share=True),
    name="lock user for sign-in",
)
_surplus_sessions = (
    select(_s.session_id)
    .where(
        of_user(sessions),
        _s.ended_at.is_(None),
        _s.expires_at > bindparam("now"),
        _s.client_id.is_not_distinct_from(bindparam("of_client", type_=Text)),
    )
    .order_by(_s.session_id.desc())
    .offset(MAX_OPEN_SESSIONS - 1)
    .limit(1000)
)
_END_SURPLUS = Query(
    update(sessions)
    .where(_s.session_id.in_(_surplus_sessions))
    .values(ended_at=bindparam("now"))
    .returning(_s.session_id),
    name="end oldest sessions",
)
_INSERT = Query(
    insert(sessions).values(
        session_id=bindparam("session_id"),
        user_id=bindparam("user_id"),
        created_at=bindparam("now"),
        expires_at=bindparam("expires_at"),
        amr=bindparam("amr"),
        authenticated_at=bindparam("authenticated_at"),
        client_id=bindparam("client_id"),
        scopes=bindparam("scopes"),
        place_sealed=bindparam("place_sealed"),
    ),
    name="insert session",
)
# any owner: the token that is presented names the session
_END = Query(
    update(sessions)
    .where(_s.session_id == bindparam("id"), _s.ended_at.is_(None))
    .values(ended_at=bindparam("now"))
    .returning(_s.session_id),
    name="end session",
)
_END_OTHERS = Query(
    update(sessions)
    .where(of_user(sessions), _s.session_id != bindparam("but"), _s.ended_at.is_(None))
    .values(ended_at=bindparam("now"))
    .returning(_s.session_id),
    name="end other sessions",
)
_END_OF_APP = Query(
    update(sessions)
    .where(of_user(sessions), _s.client_id == bindparam("of_client"), _s.ended_at.is_(None))
    .values(ended_at=bindparam("now"))
    .returning(_s.session_id),
    name="end sessions of an app",
)
_INSERT_TOKEN = Query(
    insert(refresh_tokens).values(
        token_hash=bindparam("token_hash"),
        session_id=bindparam("session_id"),
        created_at=bindparam("now"),
        expires_at=bindparam("expires_at"),
    ),
    name="insert refresh token",
)
# any owner: the refresh token that is presented names the session
# The session's row is the lock: of two concurrent refreshes the second sees that the first has used the token.
_LOCK = Query(
    select(_s.session_id)
    .where(_s.session_id == select(_r.session_id).where(_r.token_hash == bindparam("token_hash")).scalar_subquery())
    .with_for_update(),
    name="lock session",
)
_successor = refresh_tokens.alias("successor")
# any owner: the refresh token is presented
_GET_TOKEN = Query(
    select(
        _r.token_hash,
        _r.session_id,
        _s.user_id,
        _r.expires_at,
        _r.used_at,
        _successor.c.token_hash.is_not(None).label("has_unused_successor"),
        _s.expires_at.label("session_expires_at"),
        _s.ended_at.label("session_ended_at"),
        _s.created_at,
        _s.amr,
        _s.authenticated_at,
        _s.client_id,
        _s.scopes,
    )
    .join_from(refresh_tokens, sessions, _s.session_id == _r.session_id)
    .outerjoin(_successor, (_successor.c.token_hash == bindparam("successor_hash")) & _successor.c.used_at.is_(None))
    .where(_r.token_hash == bindparam("token_hash")),
    name="get refresh token",
)
_USE_TOKEN = Query(
    update(refresh_tokens).where(_r.token_hash == bindparam("hash")).values(used_at=bindparam("now")),
    name="use refresh token",
)
# any owner: of a session that the transaction has locked
_TOUCH = Query(
    update(sessions)
    .where(_s.session_id == bindparam("id"), _s.last_used_at.is_distinct_from(bindparam("hour")))
    .values(last_used_at=bindparam("hour")),
    name="touch session",
)
_surplus_tokens = (
    select(_r.token_hash)
    .where(_r.session_id == bindparam("id"))
    .order_by(_r.created_at.desc())
    .offset(MAX_STORED_TOKENS)
    .limit(1000)
)
_DELETE_TOKENS = Query(
    delete(refresh_tokens).where(_r.token_hash.in_(_surplus_tokens)), name="delete oldest refresh tokens"
)


@cache
def _end_codes() -> Query:
    codes = metadata.tables["authorization_codes"]  # whose module imports sessions
    return Query(delete(codes).where(of_user(codes), codes.c.used_at.is_(None)), name="end authorization codes")


class SessionRepository:
    """Sessions and their refresh tokens."""

    def __init__(self, revocations: RevocationRepository, vault: Vault) -> None:
        self._revocations = revocations
        self._vault = vault
        self._successor_key = vault.derive("refresh token successors")

    async def lock(self, tx: Transaction, token: str) -> RefreshToken | None:
        """An issued refresh token, its session locked until the transaction ends."""
        if await tx.first(_LOCK, token_hash=_digest(token)) is None:
            return None
        next_token = successor(token, self._successor_key)
        row = await tx.one(_GET_TOKEN, token_hash=_digest(token), successor_hash=_digest(next_token))
        return RefreshToken(
            token_hash=row.token_hash,
            session_id=row.session_id,
            user_id=row.user_id,
            expires_at=row.expires_at,
            used_at=row.used_at,
            successor=next_token,
            has_unused_successor=row.has_unused_successor,
            session_expires_at=row.session_expires_at,
            session_ended_at=row.session_ended_at,
            authentication=Authentication(tuple(row.amr or (PASSWORD,)), row.authenticated_at or row.created_at),
            client_id=row.client_id,
            scopes=tuple(row.scopes or ()),
        )

    async def insert_of_app(
        self,
        tx: Transaction,
        session_id: str,
        user_id: str,
        token: str,
        authentication: Authentication,
        client_id: str,
        scopes: Sequence[str],
        now: datetime,
    ) -> None:
        """Insert the session of an app that acts for a user; without a refresh token it ends with its access token.

        Above `MAX_OPEN_SESSIONS` of the app and the user the oldest ends; the user's own are not among them.
        """
        expires_at = now + (SESSION_LIFETIME if token else APP_SESSION_LIFETIME)
        await tx.first(_LOCK_USER, user_id=user_id)
        ended = await tx.all(_END_SURPLUS, user_id=user_id, now=now, of_client=client_id)
        await self._revocations.revoke(tx, "session", *(row.session_id for row in ended))
        await tx.run(
            _INSERT,
            session_id=session_id,
            user_id=user_id,
            now=now,
            expires_at=expires_at,
            amr=list(authentication.methods),
            authenticated_at=authentication.at,
            client_id=client_id,
            scopes=list(scopes),
            place_sealed=None,
        )
        if token:
            await self._insert_token(tx, session_id, token, now, expires_at)

    async def insert(
        self,
        tx: Transaction,
        session_id: str,
        user_id: str,
        token: str,
        authentication: Authentication,
        place: Place = NOWHERE,
    ) -> None:
        """Insert a session with its first refresh token; ends the oldest one above `MAX_OPEN_SESSIONS`."""
        now = authentication.at
        expires_at = now + SESSION_LIFETIME
        await tx.first(_LOCK_USER, user_id=user_id)
        ended = await tx.all(_END_SURPLUS, user_id=user_id, now=now, of_client=None)
        await self._revocations.revoke(tx, "session", *(row.session_id for row in ended))
        await tx.run(
            _INSERT,
            session_id=session_id,
            user_id=user_id,
            now=now,
            expires_at=expires_at,
            amr=list(authentication.methods),
            authenticated_at=now,
            client_id=None,
            scopes=None,
            place_sealed=self._vault.seal("\n".join(place).encode(), PLACE),
        )
        await self._insert_token(tx, session_id, token, now, expires_at)

    async def rotate(self, tx: Transaction, used: RefreshToken, now: datetime) -> None:
        """Mark a locked token as used, and insert its successor."""
        await tx.run(_USE_TOKEN, hash=used.token_hash, now=now)
        await self._insert_token(tx, used.session_id, used.successor, now, used.session_expires_at)
        await tx.run(_DELETE_TOKENS, id=used.session_id)
        await tx.run(_TOUCH, id=used.session_id, hour=now.replace(minute=0, second=0, microsecond=0))

    async def end_in(self, tx: Transaction, session_id: str, now: datetime) -> bool:
        """End a session with its access tokens; returns whether it was open. One that has ended keeps its time."""
        ended = await tx.all(_END, id=session_id, now=now)
        await self._revocations.revoke(tx, "session", *(row.session_id for row in ended))
        return bool(ended)

    async def end_others(self, tx: Transaction, user_id: str, but: str, now: datetime) -> Sequence[str]:
        """End every session of a user, who is locked, but one, if any is named; returns the ids of those that ended.

        Their access tokens are revoked; without an exception all of the user's, also those of a sign-in that is under way.
        No authorization code opens a session any more.
        """
        ended = [row.session_id for row in await tx.all(_END_OTHERS, user_id=user_id, but=but, now=now)]
        await tx.run(_end_codes(), user_id=user_id)
        if but:
            await self._revocations.revoke(tx, "session", *ended)
        else:
            await self._revocations.revoke(tx, "user", user_id)
        return ended

    async def end_of_app(self, tx: Transaction, user_id: str, client_id: str, now: datetime) -> None:
        """End every session in which an app acts for a user; its access tokens are revoked."""
        ended = await tx.all(_END_OF_APP, user_id=user_id, of_client=client_id, now=now)
        await self._revocations.revoke(tx, "session", *(row.session_id for row in ended))

    async def _insert_token(
        self, tx: Transaction, session_id: str, token: str, now: datetime, session_expires_at: datetime
    ) -> None:
        values = {"session_id": session_id, "now": now, "expires_at": refresh_token_expiry(now, session_expires_at)}
        await tx.run(_INSERT_TOKEN, token_hash=_digest(token), **values)


def _digest(token: str) -> bytes:
    # 256 random bits need no slow hash. An app's are hashed otherwise: the release before does not know that they are bound
    # to a client, and must not find them.
    return hashlib.sha256(b"app " * token.startswith(APP_PREFIX) + token.encode()).digest()
