"""The RPCs of OAuthService that say who somebody is: discovery and userinfo of OpenID Connect, and introspection."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from google.api.httpbody_pb2 import HttpBody
from weft.user.v1 import openid_pb2 as pb

from chassis.errors import TokenExpired, TokenInvalid, TokenRevoked
from chassis.rpc.call import Call
from chassis.security.identity import Identity
from chassis.security.revocations import Revocations
from chassis.security.tokens import TokenVerifier
from services.user.consents.domain import EMAIL, IDENTITY_SCOPES, OPENID, PROFILE
from services.user.users.domain import User
from services.user.users.repository import UserRepository

MAX_AGE_S = 300
"""How long clients may cache the configuration."""
_JSON = "application/json"


class OpenIdHandlers:
    """The part of weft.user.v1.OAuthService that says who somebody is."""

    def __init__(
        self, users: UserRepository, tokens: TokenVerifier, revocations: Revocations, metadata: Mapping[str, Any]
    ) -> None:
        """`metadata` is that of the authorization server."""
        self._users = users
        self._tokens = tokens
        self._revocations = revocations
        self._configuration = json.dumps(configuration(metadata)).encode()

    async def GetOpenIdConfiguration(self, _: pb.GetOpenIdConfigurationRequest, call: Call) -> HttpBody:
        """What a relying party needs to know."""
        call.set_header("cache-control", f"public, max-age={MAX_AGE_S}")
        return HttpBody(content_type=_JSON, data=self._configuration)

    async def GetUserInfo(self, _: pb.GetUserInfoRequest, call: Call) -> HttpBody:
        """As much of the person as the scopes of the token allow."""
        call.set_header("cache-control", "no-store")
        if OPENID not in call.caller.scopes:
            return _refuse(call, 403, "insufficient_scope", "The token lacks the scope openid.", ' scope="openid"')
        user = await self._users.get(call.caller.user_id)
        if user is None or not user.may_sign_in:
            return _refuse(call, 401, "invalid_token", "The account is not open.")
        return HttpBody(content_type=_JSON, data=json.dumps(claims_of(user, call.caller.scopes)).encode())

    async def Introspect(self, request: pb.IntrospectRequest, _: Call) -> pb.IntrospectResponse:
        """Whether an access token is valid now; nothing else is told of one that is not."""
        try:
            found = await self._tokens.identify(f"Bearer {request.token}")
            if not self._revocations.ready:
                await self._revocations.first()
            self._revocations.check(found, writes=True)
        except (TokenInvalid, TokenExpired, TokenRevoked):
            return pb.IntrospectResponse()
        return _introspected(found)


def claims_of(user: User, scopes: Sequence[str] | frozenset[str]) -> dict[str, Any]:
    """The claims about a person (OpenID Connect Core, section 5.4)."""
    claims: dict[str, Any] = {"sub": user.user_id}
    if PROFILE in scopes:
        claims |= {"name": user.display_name, "locale": user.locale, "updated_at": int(user.updated_at.timestamp())}
    if EMAIL in scopes:
        # Who may sign in has proved the address.
        claims |= {"email": user.email, "email_verified": True}
    return claims


def configuration(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of the authorization server, and what OpenID Connect adds (Discovery, section 3)."""
    base = str(metadata["issuer"]).rstrip("/")
    return {
        **metadata,
        "userinfo_endpoint": f"{base}/oauth2/userinfo",
        "scopes_supported": [*IDENTITY_SCOPES, *metadata["scopes_supported"]],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "amr", "acr",
            "name", "locale", "updated_at", "email", "email_verified",
        ],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }  # fmt: skip


def _introspected(found: Identity) -> pb.IntrospectResponse:
    return pb.IntrospectResponse(
        active=True,
        scope=" ".join(sorted(found.scopes)),
        client_id=found.client_id,
        sub=found.subject,
        exp=int(found.expires_at),
        token_type="Bearer",  # noqa: S106 - a name, not a token
        sid=found.session_id,
    )


def _refuse(call: Call, status: int, error: str, description: str, more: str = "") -> HttpBody:
    """An error of RFC 6750, section 3.1."""
    call.set_header("x-http-status", str(status))
    call.set_header("www-authenticate", f'Bearer realm="weft", error="{error}"{"," if more else ""}{more}')
    return HttpBody(content_type=_JSON, data=json.dumps({"error": error, "error_description": description}).encode())
