"""Access tokens: ES256 JWTs of type `at+jwt` (RFC 9068), valid for fifteen minutes."""

import base64
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chassis.clock import Clock
from chassis.security import modes
from chassis.security.tokens import AUDIENCE
from contract import Contract
from services.user.keys.authentication import Authentication
from services.user.keys.ring import KeyRing
from services.user.members.repository import Acting
from services.user.partners.domain import Client
from services.user.users.domain import User

ACCESS_TOKEN_LIFETIME = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A signed token, its scopes and when it expires."""

    value: str = field(repr=False)
    scopes: tuple[str, ...]
    expires_at: datetime


class Issuer:
    """Issues access tokens to users and to partners' clients."""

    def __init__(self, name: str, ring: KeyRing, clock: Clock, contract: Contract) -> None:
        """`name` is the `iss` of tokens: an https address. `contract` has the scopes of roles."""
        self.name = name
        self._ring = ring
        self._clock = clock
        self._contract = contract

    def scopes_of(self, user: User) -> tuple[str, ...]:
        """The scopes that the user's roles hold, sorted."""
        return tuple(sorted({scope for role in user.roles for scope in self._contract.scopes_by_role[role]}))

    async def for_user(
        self, user: User, session_id: str, authentication: Authentication, scopes: Iterable[str] | None = None
    ) -> AccessToken:
        """A token of a session, with all scopes of the user's roles or with the given ones."""
        return await self._issue(
            user.user_id,
            self.scopes_of(user) if scopes is None else scopes,
            roles=list(user.roles),
            plan=user.plan,
            sid=session_id,
            auth_time=int(authentication.at.timestamp()),
            amr=list(authentication.methods),
            acr=authentication.level,
            gen=user.token_generation,
        )

    async def for_member(
        self, user: User, acting: Acting, mode: str, session_id: str, authentication: Authentication
    ) -> AccessToken:
        """A token of a session with which a person acts for a partner: the partner's, as far as the role goes."""
        member = acting.member
        return await self._issue(
            user.user_id,
            self._contract.scopes_of_member(member.role, acting.scopes),
            partner=member.partner_id,
            partner_gen=acting.partner_generation,
            member=member.member_id,
            member_gen=member.token_generation,
            member_role=member.role,
            mode=mode,
            plan=acting.plan,
            sid=session_id,
            gen=user.token_generation,
            auth_time=int(authentication.at.timestamp()),
            amr=list(authentication.methods),
            acr=authentication.level,
        )

    async def for_app(
        self,
        user: User,
        client: Client,
        session_id: str,
        authentication: Authentication,
        scopes: Iterable[str],
        *,
        partner_gen: int,
    ) -> AccessToken:
        """A token of an app that acts for a user. It has no roles: an operator's apps are no operators."""
        return await self._issue(
            user.user_id,
            scopes,
            client_id=client.client_id,
            client_gen=client.token_generation,
            of_partner=client.partner_id,
            partner_gen=partner_gen,
            plan=user.plan,
            sid=session_id,
            gen=user.token_generation,
            auth_time=int(authentication.at.timestamp()),
            amr=list(authentication.methods),
            acr=authentication.level,
        )

    async def id_token(
        self, user_id: str, client_id: str, access_token: str, authentication: Authentication, nonce: str
    ) -> str:
        """An ID token of OpenID Connect for a client, bound to its access token."""
        now = self._clock.now()
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        claims: dict[str, object] = {
            "iss": self.name,
            "aud": client_id,
            "sub": user_id,
            "iat": int(now.timestamp()),
            "exp": int((now + ACCESS_TOKEN_LIFETIME).timestamp()),
            "auth_time": int(authentication.at.timestamp()),
            "amr": list(authentication.methods),
            "acr": authentication.level,
            "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
        }
        return await self._ring.sign(claims | ({"nonce": nonce} if nonce else {}), "JWT")

    async def for_client(self, client: Client, plan: str, scopes: Iterable[str], *, partner_gen: int) -> AccessToken:
        """A token of a partner's client, in its mode; its id is the subject. `partner_gen`: the partner's token generation."""
        return await self._issue(
            client.client_id,
            scopes,
            client_id=client.client_id,
            partner=client.partner_id,
            plan=plan,
            mode=client.mode,
            **({"networks": client.allowed_networks} if client.allowed_networks else {}),
            gen=client.token_generation,
            partner_gen=partner_gen,
        )

    async def _issue(self, subject: str, scopes: Iterable[str], **own: object) -> AccessToken:
        now = self._clock.now()
        expires_at = datetime.fromtimestamp(int((now + ACCESS_TOKEN_LIFETIME).timestamp()), now.tzinfo)
        granted = tuple(sorted(scopes))
        claims: dict[str, object] = {
            "iss": self.name,
            "aud": AUDIENCE,
            "sub": subject,
            "scope": " ".join(granted),
            "mode": modes.LIVE,
            "jti": secrets.token_urlsafe(16),
            "iat": int(now.timestamp()),
            "exp": int(expires_at.timestamp()),
            **own,
        }
        return AccessToken(await self._ring.sign(claims), granted, expires_at)
