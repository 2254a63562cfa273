"""Every query on the open sessions of a user, as their owner sees and ends them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, func, select, update

from chassis.errors import TokenRevoked
from chassis.security.encryption import Vault
from chassis.security.identity import Identity
from chassis.storage.database import Database, Query, Row, Transaction, newest_first
from services.user.ownership import of_user
from services.user.revocations.repository import RevocationRepository
from services.user.sessions.domain import NOWHERE, REFRESH_TOKEN_LIFETIME, Place, Session, SessionNotFound
from services.user.sessions.tables import PLACE, sessions

_s = sessions.c
_open = select(sessions).where(
    of_user(sessions),
    _s.ended_at.is_(None),
    _s.expires_at > bindparam("now"),
    # One that was not refreshed for so long cannot be any more. The last use is known to the hour.
    func.greatest(_s.created_at, _s.last_used_at + func.make_interval(0, 0, 0, 0, 1)) > bindparam("refreshed_after"),
)
_LIST = Query(newest_first(_open, _s.session_id), name="list sessions")
_FIND = Query(
    select(_s.session_id).where(of_user(sessions), _s.session_id == bindparam("session_id")), name="find session"
)
_IS_OPEN = Query(
    select(_s.session_id).where(of_user(sessions), _s.session_id == bindparam("session_id"), _s.ended_at.is_(None)),
    name="find open session",
)
_END = Query(
    update(sessions)
    .where(of_user(sessions), _s.session_id == bindparam("id"), _s.ended_at.is_(None))
    .values(ended_at=bindparam("now")),
    name="end session of user",
)


class OpenSessionRepository:
    """Lists and ends the sessions of a user."""

    def __init__(self, database: Database, vault: Vault, revocations: RevocationRepository) -> None:
        self._database = database
        self._vault = vault
        self._revocations = revocations

    async def list(self, user_id: str, now: datetime, limit: int, after: str) -> Sequence[Session]:
        """Up to `limit` open sessions older than `after`, newest first."""
        values = {"user_id": user_id, "now": now, "refreshed_after": now - REFRESH_TOKEN_LIFETIME}
        rows = await self._database.all(_LIST, **values, limit=limit, after=after)
        return [self._read(row) for row in rows]

    async def end(self, tx: Transaction, user_id: str, session_id: str, now: datetime) -> bool:
        """End a session of a user with its access tokens; returns whether it was open. Raises `SessionNotFound`."""
        if await tx.run(_END, user_id=user_id, id=session_id, now=now):
            await self._revocations.revoke(tx, "session", session_id)
            return True
        if await tx.first(_FIND, user_id=user_id, session_id=session_id) is None:
            raise SessionNotFound(session_id=session_id)
        return False

    async def require(self, tx: Transaction, caller: Identity) -> None:
        """Raise `TokenRevoked` where the caller's session has ended, which a replica may hear a second later.

        For what would outlast the token: once the user is locked, no end of the session comes in between.
        """
        if await tx.first(_IS_OPEN, user_id=caller.user_id, session_id=caller.session_id) is None:
            raise TokenRevoked()

    def _read(self, row: Row) -> Session:
        place = NOWHERE
        if row.place_sealed is not None:
            place = Place(*self._vault.open(row.place_sealed, PLACE).decode().split("\n"))
        return Session(
            session_id=row.session_id,
            user_id=row.user_id,
            place=place,
            client_id=row.client_id or "",
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            expires_at=row.expires_at,
        )
