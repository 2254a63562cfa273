"""Sessions of signed-in users: opened by `auth`, continued by refresh tokens that rotate."""

from collections.abc import Collection
from dataclasses import dataclass, field

from chassis import ids
from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.security.modes import LIVE
from chassis.storage.database import Database, Transaction
from services.user.audit.audit import Audit
from services.user.devices.devices import Devices
from services.user.devices.domain import family
from services.user.keys.authentication import Authentication
from services.user.keys.issuer import AccessToken, Issuer
from services.user.members.repository import MemberRepository
from services.user.partners.domain import PartnerNotFound
from services.user.sessions.domain import (
    Place,
    RefreshOutcome,
    RefreshTokenInvalid,
    ScopeNotHeld,
    make_refresh_token,
)
from services.user.sessions.repository import SessionRepository
from services.user.throttling.origins import neighbourhood
from services.user.users.domain import User
from services.user.users.repository import UserRepository


@dataclass(frozen=True, slots=True)
class TokenPair:
    """The access token and the refresh token of a session."""

    access: AccessToken
    refresh: str = field(repr=False)
    user_id: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that a transaction has inserted, and whose."""

    user: User
    session_id: str
    refresh: str = field(repr=False)
    authentication: Authentication


class Sessions:
    """Opens, refreshes and ends sessions."""

    def __init__(
        self,
        database: Database,
        users: UserRepository,
        members: MemberRepository,
        sessions: SessionRepository,
        issuer: Issuer,
        devices: Devices,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._database = database
        self._users = users
        self._members = members
        self._sessions = sessions
        self._issuer = issuer
        self._devices = devices
        self._audit = audit
        self._clock = clock

    async def begin(self, tx: Transaction, call: Call, user: User, methods: tuple[str, ...]) -> Opened:
        """Insert a session of a user who has just been authenticated by these methods; `issue` then makes its tokens."""
        authentication = Authentication(methods, self._clock.now())
        session_id, refresh = ids.new("ses", authentication.at), make_refresh_token()
        place = Place(family(call.header("user-agent")), neighbourhood(call.client_address))
        await self._sessions.insert(tx, session_id, user.user_id, refresh, authentication, place)
        await self._audit.record(
            tx, call, "session.opened", subject=user.user_id, actor=user.user_id, session_id=session_id
        )
        await self._devices.notice(tx, call, user)
        return Opened(user, session_id, refresh, authentication)

    async def issue(self, opened: Opened) -> TokenPair:
        """The tokens of a session that was begun and committed."""
        access = await self._issuer.for_user(opened.user, opened.session_id, opened.authentication)
        return TokenPair(access, opened.refresh, opened.user.user_id)

    async def refresh(
        self, call: Call, token: str, scopes: Collection[str] | None = None, partner_id: str = "", mode: str = LIVE
    ) -> TokenPair:
        """Exchange a refresh token for a new pair, with fewer scopes if given. A reused token ends its session.

        With `partner_id` the access token is for acting for that partner, in a mode.

        Raises `RefreshTokenInvalid`, `PartnerNotFound` if the user cannot act for the partner, and
        `ScopeNotHeld` for scopes that the user's roles do not have.
        """
        now = self._clock.now()
        async with self._database.transaction() as tx:
            stored = await self._sessions.lock(tx, token)
            if stored and stored.client_id:
                stored = None  # an app's, which its client alone may use
            outcome = stored.present(now) if stored else RefreshOutcome.REFUSED
            user = await self._users.get_in(tx, stored.user_id) if stored and outcome.granted else None
            if stored and outcome is RefreshOutcome.REUSED:
                await self._sessions.end_in(tx, stored.session_id, now)
                await self._audit.record(
                    tx, call, "session.reused", subject=stored.user_id, session_id=stored.session_id
                )
            if stored and user and user.may_sign_in:
                acting = await self._members.get_acting(tx, partner_id, user.user_id) if partner_id else None
                if partner_id and acting is None:
                    raise PartnerNotFound(partner_id=partner_id)
                if scopes is not None and not set(scopes) <= set(self._issuer.scopes_of(user)):
                    raise ScopeNotHeld()
                if outcome is RefreshOutcome.ROTATED:
                    await self._sessions.rotate(tx, stored, now)
        # Raised outside of the transaction: the end of a session has to be committed.
        if stored is None or user is None or not user.may_sign_in:
            raise RefreshTokenInvalid()
        session_id, authentication = stored.session_id, stored.authentication
        if acting is not None:
            access = await self._issuer.for_member(user, acting, mode, session_id, authentication)
        else:
            access = await self._issuer.for_user(user, session_id, authentication, scopes)
        return TokenPair(access, stored.successor, user.user_id)

    async def end(self, call: Call) -> None:
        """End the session of the caller."""
        caller = call.caller
        async with self._database.transaction() as tx:
            if await self._sessions.end_in(tx, caller.session_id, self._clock.now()):
                await self._audit.record(tx, call, "session.ended", subject=caller.user_id)

    async def end_by_token(self, call: Call, token: str, client_id: str | None) -> None:
        """End the session of a refresh token; does nothing for an unknown token, or one of another client's."""
        async with self._database.transaction() as tx:
            stored = await self._sessions.lock(tx, token)
            if stored and stored.client_id not in (None, client_id):
                return
            if stored and await self._sessions.end_in(tx, stored.session_id, self._clock.now()):
                user_id, session_id = stored.user_id, stored.session_id
                await self._audit.record(
                    tx, call, "session.ended", subject=user_id, actor=user_id, session_id=session_id
                )
