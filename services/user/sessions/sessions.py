"""Sessions of signed-in people: opened by a password, kept by refresh tokens that rotate."""

from collections.abc import Collection
from dataclasses import dataclass, field

from chassis import ids
from chassis.clock import Clock
from chassis.storage.database import Database
from services.user.auth.domain import CredentialsInvalid, Refresh, RefreshTokenInvalid, make_refresh_token
from services.user.auth.origins import Origin
from services.user.auth.repository import SessionRepository
from services.user.keys.issuer import AccessToken, Issuer
from services.user.passwords.passwords import Passwords
from services.user.sessions.attempts import Tries
from services.user.users.repository import UserRepository


class ScopeNotHeld(Exception):
    """A refresh asked for more than the user's roles allow; nothing was used up."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a signed-in person gets."""

    access: AccessToken
    refresh: str = field(repr=False)
    user_id: str


class Sessions:
    """Opens, keeps and ends sessions."""

    def __init__(
        self,
        database: Database,
        users: UserRepository,
        sessions: SessionRepository,
        passwords: Passwords,
        issuer: Issuer,
        tries: Tries,
        clock: Clock,
    ) -> None:
        self._database = database
        self._users = users
        self._sessions = sessions
        self._passwords = passwords
        self._issuer = issuer
        self._tries = tries
        self._clock = clock

    async def open(self, email: str, password: str, origin: Origin) -> Tokens:
        """A new session. Raises `CredentialsInvalid` or `TooManyAttempts`, alike whether or not there is an account."""
        async with self._tries.one(origin):
            user = await self._users.find_person(email)
            good = await self._passwords.verify(user.password_hash if user else "", password)
            if user is None or not good or not user.may_sign_in:
                raise CredentialsInvalid()
        if self._passwords.outdated(user.password_hash):
            await self._users.set_password(user.user_id, await self._passwords.hash(password))
        now = self._clock.now()
        session_id, refresh = ids.new("ses", now), make_refresh_token()
        await self._sessions.open(session_id, user.user_id, refresh, now)
        return Tokens(await self._issuer.for_user(user, session_id), refresh, user.user_id)

    async def refresh(self, token: str, scopes: Collection[str] | None = None) -> Tokens:
        """New tokens for a refresh token, with fewer scopes where asked. A used one ends its session.

        Raises `RefreshTokenInvalid`, and `ScopeNotHeld` for scopes that the user's roles do not allow.
        """
        now = self._clock.now()
        async with self._database.transaction() as tx:
            held = await self._sessions.lock(tx, token)
            outcome = held.present(now) if held else Refresh.REFUSED
            user = await self._users.find_in(tx, held.user_id) if held and outcome is Refresh.ROTATED else None
            if held and outcome is Refresh.REUSED:
                await self._sessions.end_in(tx, held.session_id, now)
            if held and user and user.may_sign_in:
                if scopes is not None and not set(scopes) <= set(self._issuer.scopes_of(user)):
                    raise ScopeNotHeld()
                fresh = make_refresh_token()
                await self._sessions.rotate(tx, held, fresh, now)
        # Raised out here: what was ended stays ended.
        if held is None or user is None or not user.may_sign_in:
            raise RefreshTokenInvalid()
        return Tokens(await self._issuer.for_user(user, held.session_id, scopes), fresh, user.user_id)

    async def end(self, session_id: str) -> None:
        """End a session."""
        await self._sessions.end(session_id, self._clock.now())

    async def end_of(self, token: str) -> None:
        """End the session of a refresh token; for an unknown one, nothing."""
        await self._sessions.end_of(token, self._clock.now())
