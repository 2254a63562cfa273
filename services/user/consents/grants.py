"""Apps that act for people: consent, codes and their exchange, refresh tokens bound to their client."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from chassis import ids
from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.storage.database import Database, Transaction
from services.user.audit.audit import Audit
from services.user.consents.domain import (
    CODE_LIFETIME,
    IDENTITY_SCOPES,
    OFFLINE,
    OPENID,
    AuthorizationRefused,
    AuthorizationRequest,
    Code,
    Target,
    digest,
    make_code,
    read,
    read_target,
    refuse_grant,
)
from services.user.consents.repository import ConsentRepository
from services.user.keys.authentication import Authentication
from services.user.keys.issuer import AccessToken, Issuer
from services.user.partners.client_repository import ClientAccount, ClientRepository
from services.user.partners.domain import Client
from services.user.sessions.domain import RefreshOutcome, make_app_refresh_token
from services.user.sessions.open_session_repository import OpenSessionRepository
from services.user.sessions.repository import SessionRepository
from services.user.users.domain import User
from services.user.users.repository import UserRepository


@dataclass(frozen=True, slots=True)
class AppTokens:
    """What an app gets: an access token, and a refresh token if it was allowed to act while the person is away."""

    access: AccessToken
    refresh: str = field(repr=False)
    id_token: str = field(default="", repr=False)


class Grants:
    """Decides on authorization requests and exchanges what they led to. `scopes` are those that apps may ask of people."""

    def __init__(
        self,
        database: Database,
        consents: ConsentRepository,
        clients: ClientRepository,
        users: UserRepository,
        sessions: SessionRepository,
        open_sessions: OpenSessionRepository,
        issuer: Issuer,
        audit: Audit,
        clock: Clock,
        scopes: Collection[str],
    ) -> None:
        self._database = database
        self._consents = consents
        self._clients = clients
        self._users = users
        self._sessions = sessions
        self._open_sessions = open_sessions
        self._issuer = issuer
        self._audit = audit
        self._clock = clock
        self._scopes = frozenset(scopes)

    async def find(self, parameters: Mapping[str, str]) -> tuple[Target, Client, str, frozenset[str]]:
        """Where the answer to a request goes, its client, and what `read` needs. Raises `RequestRefused`."""
        account = await self._clients.get_account(parameters.get("client_id", ""), self._clock.now())
        client, target = read_target(parameters, account.client if account else None)
        assert account is not None
        return target, client, account.partner_state, self._allowed(account)

    async def decide(
        self,
        parameters: Mapping[str, str],
        user_id: str,
        authentication: Authentication,
        approved: bool | None,
        call: Call,
    ) -> str | AuthorizationRequest:
        """Where to send the person, or the request if it needs their decision first (`approved` is None).

        Raises `RequestRefused`.
        """
        target, client, state, allowed = await self.find(parameters)
        try:
            request, now = read(parameters, client, target, state, allowed), self._clock.now()
            request.refuse_stale(authentication, now)
            async with self._database.transaction() as tx:
                # The user's row comes first, as everywhere: what they take back meanwhile comes before or after.
                user = await self._users.lock(tx, user_id)
                if approved is False or user is None or not user.may_sign_in or user.partner_id:
                    raise AuthorizationRefused("access_denied", "The person did not allow it.")
                await self._open_sessions.require(tx, call.caller)
                consented = await self._consents.get_consent(tx, user_id, client.client_id)
                if approved is None and not request.covered_by(consented):
                    if "none" in request.prompts:
                        raise AuthorizationRefused("consent_required", "The person has to decide.")
                    return request
                return await self._issue_code(tx, request, user, authentication, consented, call)
        except AuthorizationRefused as refused:
            return target.address(self._issuer.name, error=refused.error, error_description=refused.description)

    async def _issue_code(
        self,
        tx: Transaction,
        request: AuthorizationRequest,
        user: User,
        authentication: Authentication,
        consented: tuple[str, ...],
        call: Call,
    ) -> str:
        code, now, client_id, user_id = make_code(), self._clock.now(), request.client.client_id, user.user_id
        stored = Code(
            code_hash=digest(code),
            client_id=client_id,
            user_id=user_id,
            redirect_uri=request.target.redirect_uri,
            code_challenge=request.code_challenge,
            scopes=request.scopes,
            nonce=request.nonce,
            authentication=authentication,
            generation=user.token_generation,
            expires_at=now + CODE_LIFETIME,
        )
        together = tuple(sorted({*consented, *request.scopes}))
        if together != consented:
            await self._consents.upsert_consent(tx, user_id, client_id, together, now)
            await self._audit.record(tx, call, "consent.given", subject=client_id)
        await self._consents.insert_code(tx, stored, now)
        return request.target.address(self._issuer.name, code=code)

    async def redeem(self, call: Call, form: Mapping[str, str], account: ClientAccount) -> AppTokens:
        """Exchange a code. Whatever is wrong uses it up, and a second use ends what came of the first one."""
        refuse_grant(account.client, account.partner_state)
        now, client = self._clock.now(), account.client
        async with self._database.transaction() as tx:
            # The user's row comes first, as everywhere.
            user = await self._users.lock(tx, await self._consents.get_user(tx, form["code"]))
            code = await self._consents.lock_code(tx, form["code"])
            scopes: tuple[str, ...] = ()
            session_id, refresh = ids.new("ses", now), ""
            if code and code.session_id:
                if await self._sessions.end_in(tx, code.session_id, now):
                    await self._record(tx, call, "session.reused", code.user_id, code.session_id, account)
            elif code:
                fits = code.fits(client.client_id, form.get("redirect_uri", ""), form.get("code_verifier", ""), now)
                if fits and user and user.may_sign_in and user.token_generation == code.generation:
                    scopes = self._still(code.scopes, account)
                    refresh = make_app_refresh_token() if OFFLINE in scopes else ""
                    await self._sessions.insert_of_app(
                        tx, session_id, user.user_id, refresh, code.authentication, client.client_id, scopes, now
                    )
                    await self._record(tx, call, "session.opened", user.user_id, session_id, account)
                await self._consents.use_code(tx, code, session_id if scopes else None, now)
        # Raised outside of the transaction: that the code is used has to be committed.
        if code is None or user is None or not scopes:
            raise AuthorizationRefused(
                "invalid_grant", "The code is unknown, used, expired or not for this client and request."
            )
        access = await self._issuer.for_app(
            user, client, session_id, code.authentication, scopes, partner_gen=account.partner_generation
        )
        if OPENID not in scopes:
            return AppTokens(access, refresh)
        proof = code.authentication, code.nonce
        return AppTokens(
            access, refresh, await self._issuer.id_token(user.user_id, client.client_id, access.value, *proof)
        )

    async def refresh(
        self, call: Call, token: str, account: ClientAccount, requested: Collection[str] | None
    ) -> AppTokens:
        """Exchange a refresh token of this client for new tokens, with fewer scopes if given."""
        refuse_grant(account.client, account.partner_state)
        now, client = self._clock.now(), account.client
        async with self._database.transaction() as tx:
            stored = await self._sessions.lock(tx, token)
            outcome = RefreshOutcome.REFUSED
            if stored and stored.client_id == client.client_id:
                outcome = stored.present(now)
            if stored and outcome is RefreshOutcome.REUSED:
                await self._sessions.end_in(tx, stored.session_id, now)
                await self._record(tx, call, "session.reused", stored.user_id, stored.session_id, account)
            user = await self._users.get_in(tx, stored.user_id) if stored else None
            if stored and user and user.may_sign_in and outcome.granted:
                held = self._still(stored.scopes, account)
                if requested is not None and not set(requested) <= set(held):
                    raise AuthorizationRefused("invalid_scope", "A scope was not granted to the client.")
                if outcome is RefreshOutcome.ROTATED:
                    await self._sessions.rotate(tx, stored, now)
        if stored is None or user is None or not user.may_sign_in or not outcome.granted:
            raise AuthorizationRefused(
                "invalid_grant", "The refresh token is unknown, used, expired or not of this client."
            )
        scopes = held if requested is None else tuple(requested)
        access = await self._issuer.for_app(
            user, client, stored.session_id, stored.authentication, scopes, partner_gen=account.partner_generation
        )
        return AppTokens(access, stored.successor)

    async def _record(
        self, tx: Transaction, call: Call, action: str, user_id: str, session_id: str, account: ClientAccount
    ) -> None:
        actor = account.client.client_id
        await self._audit.record(tx, call, action, subject=user_id, actor=actor, session_id=session_id)

    def _allowed(self, account: ClientAccount) -> frozenset[str]:
        """The scopes that a client may ask of people now."""
        return self._scopes & set(account.client.scopes) & set(account.partner_scopes)

    def _still(self, scopes: Collection[str], account: ClientAccount) -> tuple[str, ...]:
        return tuple(sorted(set(scopes) & {*self._allowed(account), *IDENTITY_SCOPES}))
