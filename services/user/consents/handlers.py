"""The RPCs of OAuthService at which people decide about apps."""

import json
from datetime import UTC, datetime
from typing import Any

from google.api.httpbody_pb2 import HttpBody
from weft.user.v1 import authorization_pb2 as pb

from chassis.errors import FailedPrecondition
from chassis.rpc.call import Call
from services.user.consents import page
from services.user.consents.domain import AuthorizationRefused, RequestRefused, read
from services.user.consents.grants import Grants
from services.user.keys.authentication import Authentication

_APPROVED = {pb.CONSENT_DECISION_APPROVE: True, pb.CONSENT_DECISION_DENY: False}


class AuthorizationRequestInvalid(FailedPrecondition):
    """The client is unknown, or the redirect URI is not one of its own."""


class AuthorizationHandlers:
    """The part of weft.user.v1.OAuthService at which people decide about apps."""

    def __init__(self, grants: Grants, issuer: str) -> None:
        self._grants = grants
        self._issuer = issuer

    async def Authorize(self, request: pb.AuthorizeRequest, call: Call) -> HttpBody:
        """Shows what the client asks for. Nothing is redirected before client and redirect URI are known to be valid."""
        parameters = _parameters(request)
        call.set_header("cache-control", "no-store")
        browser = "text/html" in call.header("accept")
        try:
            target, client, state, allowed = await self._grants.find(parameters)
        except RequestRefused as refused:
            call.set_header("x-http-status", "400")
            if browser:
                return _page(call, page.refusal(str(refused)))
            return _json({"error": "invalid_request", "error_description": str(refused)})
        try:
            asked = read(parameters, client, target, state, allowed)
            if "none" in asked.prompts:
                raise AuthorizationRefused("login_required", "The person has to sign in.")
        except AuthorizationRefused as refused:
            answer = {"error": refused.error, "error_description": refused.description}
            call.set_header("x-http-status", "302")
            call.set_header("location", target.address(self._issuer, **answer))
            return HttpBody()
        if browser:
            return _page(call, page.consent(client.display_name, asked.scopes, target.redirect_uri, parameters))
        named = {"client_id": client.client_id, "client_name": client.display_name}
        return _json({**named, "redirect_uri": target.redirect_uri, "scope": " ".join(asked.scopes)})

    async def DecideConsent(self, request: pb.DecideConsentRequest, call: Call) -> pb.DecideConsentResponse:
        """Checks the request again: nothing of it is trusted because it was shown."""
        caller = call.caller
        at = datetime.fromtimestamp(caller.authenticated_at, UTC)
        authentication = Authentication(tuple(sorted(caller.methods)), at)
        approved = _APPROVED.get(request.decision)
        parameters = _parameters(request.authorization_request)
        try:
            found = await self._grants.decide(parameters, caller.user_id, authentication, approved, call)
        except RequestRefused:
            raise AuthorizationRequestInvalid() from None
        if isinstance(found, str):
            return pb.DecideConsentResponse(redirect_uri=found)
        return pb.DecideConsentResponse(consent_required=True)


def _parameters(request: pb.AuthorizeRequest) -> dict[str, str]:
    """The parameters that have a value: one without counts as left out (RFC 6749, section 3.1)."""
    return {field.name: value for field, value in request.ListFields()}


def _json(content: dict[str, Any]) -> HttpBody:
    return HttpBody(content_type="application/json", data=json.dumps(content).encode())


def _page(call: Call, text: str) -> HttpBody:
    call.set_header("content-security-policy", page.POLICY)
    return HttpBody(content_type="text/html; charset=utf-8", data=text.encode())
