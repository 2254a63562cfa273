"""Every query on verification codes, sessions and refresh tokens. None of them is kept: only hashes are."""

import hashlib
from datetime import datetime

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from services.chassis.database import Database, Query, Transaction
from services.chassis.vault import Vault
from services.user.auth.domain import CODE_TRIES, SESSION_LIFE, HeldToken, refresh_token_end
from services.user.models import refresh_tokens, sessions, users, verification_codes

_v, _s, _r = verification_codes.c, sessions.c, refresh_tokens.c

_NEW_CODE = insert(verification_codes).values(
    user_id=bindparam("user_id"),
    code_hash=bindparam("code_hash"),
    tries=0,
    created_at=bindparam("now"),
    expires_at=bindparam("expires_at"),
)
PUT_CODE = Query(
    _NEW_CODE.on_conflict_do_update(
        index_elements=["user_id"],
        set_={name: _NEW_CODE.excluded[name] for name in ("code_hash", "tries", "created_at", "expires_at")},
    ),
    name="put code",
)
# A try counts before it is looked at, so that many at once are no more than five.
TRY_CODE = Query(
    update(verification_codes)
    .where(
        _v.user_id == users.c.user_id,
        users.c.email_lookup == bindparam("email_lookup"),
        users.c.partner_id.is_(None),
        _v.tries < CODE_TRIES,
        _v.expires_at > bindparam("now"),
    )
    .values(tries=_v.tries + 1)
    .returning(_v.user_id, _v.code_hash),
    name="try code",
)
USE_CODE = Query(
    delete(verification_codes).where(_v.user_id == bindparam("user_id"), _v.code_hash == bindparam("code_hash")),
    name="use code",
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


class CodeRepository:
    """Verification codes: one for each user, the newest."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def put(self, tx: Transaction, user_id: str, code: str, now: datetime, expires_at: datetime) -> None:
        """Keep a code's hash in the place of the one before."""
        await tx.run(PUT_CODE, user_id=user_id, code_hash=self._hash(user_id, code), now=now, expires_at=expires_at)

    async def try_(self, email_lookup: bytes, code: str, now: datetime) -> tuple[str, bytes] | None:
        """Spend a try; user id and hash where the code is right, to be used with `use`."""
        row = await self._database.first(TRY_CODE, email_lookup=email_lookup, now=now)
        # Hashed also where nothing was found, which costs the same time.
        given = self._hash(row.user_id if row else "", code)
        return (row.user_id, given) if row is not None and bytes(row.code_hash) == given else None

    async def use(self, tx: Transaction, user_id: str, code_hash: bytes) -> bool:
        """Take the code away; whether it was still there, which is so for one caller only."""
        return await tx.run(USE_CODE, user_id=user_id, code_hash=code_hash) == 1

    def _hash(self, user_id: str, code: str) -> bytes:
        # Keyed: eight digits without a key are found in a second.
        return self._vault.lookup(f"{user_id} {code}", "user.verification_code")


class SessionRepository:
    """Sessions and the refresh tokens that they have had."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, session_id: str, user_id: str, token: str, now: datetime) -> None:
        """A new session with its first refresh token."""
        expires_at = now + SESSION_LIFE
        async with self._database.transaction() as tx:
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
