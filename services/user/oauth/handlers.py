"""The RPCs of OAuthService, as standard OAuth 2.0 libraries call them.

Errors of the protocol are replies: JSON bodies whose HTTP status is in the header `x-http-status`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from google.api.httpbody_pb2 import HttpBody
from weft.user.v1 import oauth_service_pb2 as pb

from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.security import networks
from services.user.consents.domain import AuthorizationRefused
from services.user.consents.grants import AppTokens, Grants
from services.user.keys.issuer import ACCESS_TOKEN_LIFETIME, Issuer
from services.user.keys.ring import KeyRing
from services.user.oauth.clients import ClientAuthentication
from services.user.oauth.domain import OAuthError, read_form, read_scopes
from services.user.oauth.revocation import AccessTokens
from services.user.partners.client_repository import ClientAccount, ClientRepository
from services.user.partners.domain import CLIENT_CREDENTIALS, SUSPENDED
from services.user.sessions.domain import RefreshTokenInvalid, ScopeNotHeld
from services.user.sessions.sessions import Sessions

_JSON = "application/json"
MAX_AGE_S = 300
"""How long clients may cache keys and metadata: well below `keys.domain.PUBLISH_LEAD`."""


class OAuthHandlers:
    """weft.user.v1.OAuthService."""

    def __init__(
        self,
        clients: ClientRepository,
        authentication: ClientAuthentication,
        access_tokens: AccessTokens,
        sessions: Sessions,
        apps: Grants,
        issuer: Issuer,
        ring: KeyRing,
        clock: Clock,
        metadata: Mapping[str, Any],
    ) -> None:
        self._clients = clients
        self._authentication = authentication
        self._access_tokens = access_tokens
        self._sessions = sessions
        self._apps = apps
        self._issuer = issuer
        self._ring = ring
        self._clock = clock
        self._metadata = json.dumps(metadata).encode()

    async def Token(self, request: pb.TokenRequest, call: Call) -> HttpBody:
        """Grants `client_credentials`, `authorization_code` and `refresh_token`."""
        try:
            return _respond(call, await self._grant(read_form(request.form.content_type, request.form.data), call))
        except OAuthError as error:
            return _refuse(call, error)
        except AuthorizationRefused as refused:
            return _refuse(call, OAuthError(refused.error, refused.description))

    async def Revoke(self, request: pb.RevokeRequest, call: Call) -> HttpBody:
        """Ends a token. Of what a client was issued the client alone may; of a user's own session any holder."""
        try:
            form = read_form(request.form.content_type, request.form.data)
            account = await self._authentication.authenticate(call.authorization, form)
            if "token" not in form:
                raise OAuthError("invalid_request", "The parameter token is missing.")
            client_id = account.client.client_id if account else None
            if form["token"].count(".") == 2:
                await self._access_tokens.revoke(call, form["token"], client_id)
            else:
                await self._sessions.end_by_token(call, form["token"], client_id)
            return _respond(call, None)
        except OAuthError as error:
            return _refuse(call, error)

    async def GetJwks(self, _: pb.GetJwksRequest, call: Call) -> HttpBody:
        """Every key that a valid token may be signed with, now or soon."""
        call.set_header("cache-control", f"public, max-age={MAX_AGE_S}")
        return HttpBody(content_type=_JSON, data=(await self._ring.published()).encode())

    async def GetMetadata(self, _: pb.GetMetadataRequest, call: Call) -> HttpBody:
        """Endpoints, grant types, scopes."""
        call.set_header("cache-control", f"public, max-age={MAX_AGE_S}")
        return HttpBody(content_type=_JSON, data=self._metadata)

    async def _grant(self, form: dict[str, str], call: Call) -> dict[str, object]:
        account = await self._authentication.authenticate(call.authorization, form)
        if account is not None:
            _refuse_address(account, call)
        grant = form.get("grant_type")
        if grant is None:
            raise OAuthError("invalid_request", "The parameter grant_type is missing.")
        if grant == "client_credentials":
            return await self._grant_to_client(form, account)
        if grant == "refresh_token":
            return await self._grant_refresh(form, account, call)
        if grant == "authorization_code":
            if account is None:
                raise OAuthError("invalid_client", "The client must authenticate.", 401)
            if "code" not in form:
                raise OAuthError("invalid_request", "The parameter code is missing.")
            return _for_app(await self._apps.redeem(call, form, account))
        raise OAuthError(
            "unsupported_grant_type", "Grant types are client_credentials, authorization_code and refresh_token."
        )

    async def _grant_to_client(self, form: dict[str, str], account: ClientAccount | None) -> dict[str, object]:
        if account is None:
            raise OAuthError("invalid_client", "The client must authenticate.", 401)
        if account.partner_state == SUSPENDED:
            raise OAuthError("unauthorized_client", "The partner is suspended.")
        if CLIENT_CREDENTIALS not in account.client.grant_types:
            raise OAuthError("unauthorized_client", "The client may not use this grant type.")
        # Scopes that the partner lost are lost to its clients too.
        allowed = set(account.client.scopes) & set(account.partner_scopes)
        scopes = read_scopes(form, allowed) or tuple(sorted(allowed))
        if not scopes:
            raise OAuthError("invalid_scope", "The client no longer has any scope.")
        token = await self._issuer.for_client(
            account.client, account.plan, scopes, partner_gen=account.partner_generation
        )
        await self._clients.update_last_use(account.client, self._clock.now())
        return _bearer(token.value, token.scopes)

    async def _grant_refresh(
        self, form: dict[str, str], account: ClientAccount | None, call: Call
    ) -> dict[str, object]:
        if "refresh_token" not in form:
            raise OAuthError("invalid_request", "The parameter refresh_token is missing.")
        requested = form["scope"].split() if "scope" in form else None
        if account is not None:
            return _for_app(await self._apps.refresh(call, form["refresh_token"], account, requested))
        try:
            tokens = await self._sessions.refresh(call, form["refresh_token"], requested)
        except RefreshTokenInvalid as error:
            raise OAuthError("invalid_grant", str(error).rstrip(".")) from None
        except ScopeNotHeld:
            raise OAuthError("invalid_scope", "A scope is unknown or not granted to the user.") from None
        return _bearer(tokens.access.value, tokens.access.scopes) | {"refresh_token": tokens.refresh}


def _refuse_address(account: ClientAccount, call: Call) -> None:
    allowed = [networks.parse(text) for text in account.client.allowed_networks]
    if allowed and not networks.contain(allowed, call.client_address):
        raise OAuthError("unauthorized_client", "The client may not be used from this network address.")


def _for_app(tokens: AppTokens) -> dict[str, object]:
    more = {"refresh_token": tokens.refresh, "id_token": tokens.id_token}
    return _bearer(tokens.access.value, tokens.access.scopes) | {name: value for name, value in more.items() if value}


def _bearer(token: str, scopes: Sequence[str]) -> dict[str, object]:
    seconds = int(ACCESS_TOKEN_LIFETIME.total_seconds())
    return {"access_token": token, "token_type": "Bearer", "expires_in": seconds, "scope": " ".join(scopes)}


def _respond(call: Call, content: dict[str, object] | None) -> HttpBody:
    call.set_header("cache-control", "no-store")
    call.set_header("pragma", "no-cache")
    return HttpBody(content_type=_JSON, data=json.dumps(content).encode() if content else b"")


def _refuse(call: Call, error: OAuthError) -> HttpBody:
    call.set_header("x-http-status", str(error.status))
    if error.status == 401:
        call.set_header("www-authenticate", 'Basic realm="weft", charset="UTF-8"')
    return _respond(call, {"error": error.error, "error_description": error.description})
