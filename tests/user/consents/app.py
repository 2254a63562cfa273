"""A partner's app, and a person whom it asks."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from weft.user.v1 import authorization_pb2 as pb
from weft.user.v1 import partner_pb2

from tests.user.world import Answer, Person, World

CALLBACK = "https://shop.example/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
APPROVE, DENY, ASK = pb.CONSENT_DECISION_APPROVE, pb.CONSENT_DECISION_DENY, pb.CONSENT_DECISION_UNSPECIFIED
SCOPE = "orders.read users.read offline_access"


@dataclass
class App:
    """A partner's app, and a person whom it asks."""

    world: World
    operator: Person
    client: partner_pb2.Client
    person: Person

    def request(self, **more: str) -> pb.AuthorizeRequest:
        """What a stock client sends, with changes; an empty value leaves a parameter out."""
        parameters = {
            "response_type": "code", "client_id": self.client.client_id, "redirect_uri": CALLBACK, "state": "a b&c",
            "scope": SCOPE, "code_challenge": CHALLENGE, "code_challenge_method": "S256", **more,
        }  # fmt: skip
        return pb.AuthorizeRequest(**parameters)

    async def show(self, accept: str = "application/json", **more: str) -> Answer:
        """Call the authorization endpoint."""
        call = self.world.oauth.Authorize(self.request(**more), metadata=[("accept", accept)])
        reply = await call
        headers = {str(key): str(value) for key, value in await call.initial_metadata() or ()}
        return Answer(int(headers.pop("x-http-status", "200")), reply.data.decode(), headers)

    async def decide(self, decision: Any = APPROVE, **more: str) -> pb.DecideConsentResponse:
        """Decide as the person."""
        request = pb.DecideConsentRequest(authorization_request=self.request(**more), decision=decision)
        return await self.world.oauth.DecideConsent(request, metadata=self.person.metadata)

    async def code(self, **more: str) -> str:
        """A code that the person has allowed."""
        return answered((await self.decide(**more)).redirect_uri)["code"]

    async def exchange(self, code: str, client: partner_pb2.Client | None = None, **more: str) -> Answer:
        """Present a code at the token endpoint."""
        client = client or self.client
        form = {"code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER, **more}
        form = {name: value for name, value in form.items() if value}
        return await self.world.token((client.client_id, client.secret), grant_type="authorization_code", **form)

    async def refresh(self, token: str, **more: str) -> Answer:
        """Refresh as the app."""
        basic = (self.client.client_id, self.client.secret)
        return await self.world.token(basic, grant_type="refresh_token", refresh_token=token, **more)


def answered(address: str, uri: str = CALLBACK) -> dict[str, str]:
    """The parameters that a redirect carries to the client."""
    assert address.startswith(uri + "?")
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
