"""Revocation of access tokens (RFC 7009)."""

from chassis.clock import Clock
from chassis.errors import TokenExpired, TokenInvalid
from chassis.rpc.call import Call
from chassis.security.tokens import TokenVerifier
from chassis.storage.database import Database
from services.user.audit.audit import Audit
from services.user.revocations.repository import RevocationRepository
from services.user.sessions.repository import SessionRepository


class AccessTokens:
    """Ends access tokens before their time."""

    def __init__(
        self,
        database: Database,
        sessions: SessionRepository,
        revocations: RevocationRepository,
        tokens: TokenVerifier,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._revocations = revocations
        self._tokens = tokens
        self._audit = audit
        self._clock = clock

    async def revoke(self, call: Call, token: str, client_id: str | None) -> None:
        """End the session of an access token, or the token of a client itself; nothing if it is not the client's."""
        try:
            found = await self._tokens.identify(f"Bearer {token}")
        except (TokenInvalid, TokenExpired):
            return
        if found.client_id and found.client_id != client_id:
            return
        actor = found.client_id or found.subject
        async with self._database.transaction() as tx:
            if not found.session_id:
                await self._revocations.revoke(tx, "token", found.token_id)
                await self._audit.record(tx, call, "token.revoked", subject=found.subject, actor=actor)
            elif await self._sessions.end_in(tx, found.session_id, self._clock.now()):
                await self._audit.record(
                    tx, call, "session.ended", subject=found.subject, actor=actor, session_id=found.session_id
                )
