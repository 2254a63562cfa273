"""OAuthService: tokens for partners' clients, as stock OAuth 2.0 libraries ask for them.

Errors of the protocol are replies: JSON bodies whose HTTP status travels in `x-http-status`.
"""

import json
from collections.abc import Sequence

from google.api.httpbody_pb2 import HttpBody
from weft.user.v1 import oauth_service_pb2 as pb

from chassis.clock import Clock
from chassis.rpc.call import Call
from services.user.auth.domain import RefreshTokenInvalid
from services.user.keys.issuer import LIFE, Issuer
from services.user.keys.ring import KeyRing
from services.user.oauth.domain import OAuthError, fits, read_credentials, read_form, read_scopes
from services.user.partners.domain import SUSPENDED
from services.user.partners.repository import Account, PartnerRepository
from services.user.sessions.sessions import ScopeNotHeld, Sessions

JSON = "application/json"
KEYS_AGE = 300
"""Seconds for which others may keep the keys: well below the time that a new key is published before it signs."""


class OAuthHandlers:
    """One method for each RPC, in the proto's order."""

    def __init__(
        self,
        partners: PartnerRepository,
        sessions: Sessions,
        issuer: Issuer,
        ring: KeyRing,
        clock: Clock,
        scopes: Sequence[str],
    ) -> None:
        self._partners = partners
        self._sessions = sessions
        self._issuer = issuer
        self._ring = ring
        self._clock = clock
        self._metadata = json.dumps(_metadata(issuer.name, scopes)).encode()

    async def Token(self, request: pb.TokenRequest, call: Call) -> HttpBody:
        """Grants `client_credentials` and `refresh_token`."""
        try:
            return _answer(call, await self._grant(read_form(request.form.content_type, request.form.data), call))
        except OAuthError as error:
            return _refuse(call, error)

    async def Revoke(self, request: pb.RevokeRequest, call: Call) -> HttpBody:
        """Ends the session of a refresh token. Whoever bears it may; a client that is named has to be one."""
        try:
            form = read_form(request.form.content_type, request.form.data)
            await self._authenticate(form, call)
            if "token" not in form:
                raise OAuthError("invalid_request", "The parameter token is missing.")
            if form["token"].count(".") == 2:
                raise OAuthError("unsupported_token_type", "Access tokens end by themselves within fifteen minutes.")
            await self._sessions.end_of(form["token"])
            return _answer(call, None)
        except OAuthError as error:
            return _refuse(call, error)

    async def GetJwks(self, _: pb.GetJwksRequest, call: Call) -> HttpBody:
        """Every key that a valid token may be signed with, now or soon."""
        call.set_header("cache-control", f"public, max-age={KEYS_AGE}")
        return HttpBody(content_type=JSON, data=(await self._ring.published()).encode())

    async def GetMetadata(self, _: pb.GetMetadataRequest, call: Call) -> HttpBody:
        """Endpoints, grants, scopes."""
        call.set_header("cache-control", f"public, max-age={KEYS_AGE}")
        return HttpBody(content_type=JSON, data=self._metadata)

    async def _grant(self, form: dict[str, str], call: Call) -> dict[str, object]:
        account = await self._authenticate(form, call)
        grant = form.get("grant_type")
        if grant is None:
            raise OAuthError("invalid_request", "The parameter grant_type is missing.")
        if grant == "client_credentials":
            return await self._grant_to_client(form, account)
        if grant == "refresh_token":
            return await self._grant_to_bearer(form, account)
        raise OAuthError("unsupported_grant_type", "Grant types are client_credentials and refresh_token.")

    async def _authenticate(self, form: dict[str, str], call: Call) -> Account | None:
        """The client that proves to be one; None where none is named."""
        credentials = read_credentials(call.authorization, form)
        if credentials is None:
            return None
        given = [self._partners.hash_secret(secret) for secret in credentials.secrets]
        account = await self._partners.find_account(credentials.client_id, self._clock.now())
        known = account.secret_hashes if account else (bytes(32),)
        # An unknown client, a wrong secret and a revoked client are answered alike.
        if not fits(known, given) or account is None or account.client.revoked_at is not None:
            raise OAuthError("invalid_client", "Client authentication failed.", 401)
        return account

    async def _grant_to_client(self, form: dict[str, str], account: Account | None) -> dict[str, object]:
        if account is None:
            raise OAuthError("invalid_client", "The client has to authenticate.", 401)
        if account.partner_state == SUSPENDED:
            raise OAuthError("unauthorized_client", "The partner is suspended.")
        # What the partner has lost, its clients have lost.
        allowed = set(account.client.scopes) & set(account.partner_scopes)
        scopes = read_scopes(form, allowed) or tuple(sorted(allowed))
        if not scopes:
            raise OAuthError("invalid_scope", "The client holds no scope any more.")
        client = account.client
        token = await self._issuer.for_client(client.client_id, client.partner_id, account.plan, scopes)
        await self._partners.use_client(client, self._clock.now())
        return _bearer(token.value, token.scopes)

    async def _grant_to_bearer(self, form: dict[str, str], account: Account | None) -> dict[str, object]:
        if "refresh_token" not in form:
            raise OAuthError("invalid_request", "The parameter refresh_token is missing.")
        if account is not None:
            # Sessions are people's own; no partner's client was ever issued a refresh token.
            raise OAuthError("invalid_grant", "The refresh token was not issued to this client.")
        asked = form["scope"].split() if "scope" in form else None
        try:
            tokens = await self._sessions.refresh(form["refresh_token"], asked)
        except RefreshTokenInvalid as error:
            raise OAuthError("invalid_grant", str(error).rstrip(".")) from None
        except ScopeNotHeld:
            raise OAuthError("invalid_scope", "A scope is unknown or not granted to the user.") from None
        return _bearer(tokens.access.value, tokens.access.scopes) | {"refresh_token": tokens.refresh}


def _bearer(token: str, scopes: Sequence[str]) -> dict[str, object]:
    seconds = int(LIFE.total_seconds())
    return {"access_token": token, "token_type": "Bearer", "expires_in": seconds, "scope": " ".join(scopes)}


def _answer(call: Call, content: dict[str, object] | None) -> HttpBody:
    call.set_header("cache-control", "no-store")
    call.set_header("pragma", "no-cache")
    return HttpBody(content_type=JSON, data=json.dumps(content).encode() if content else b"")


def _refuse(call: Call, error: OAuthError) -> HttpBody:
    call.set_header("x-http-status", str(error.status))
    if error.status == 401:
        call.set_header("www-authenticate", 'Basic realm="weft", charset="UTF-8"')
    return _answer(call, {"error": error.error, "error_description": error.description})


def _metadata(issuer: str, scopes: Sequence[str]) -> dict[str, object]:
    base = issuer.rstrip("/")
    methods = ["client_secret_basic", "client_secret_post", "none"]
    return {
        "issuer": issuer,
        "token_endpoint": f"{base}/oauth2/token",
        "revocation_endpoint": f"{base}/oauth2/revoke",
        "jwks_uri": f"{base}/.well-known/jwks.json",
        "scopes_supported": list(scopes),
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials", "refresh_token"],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
    }
