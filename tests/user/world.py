"""The callers of the user service: people who sign up, an operator, partners' clients, other services."""

import base64
import json
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import grpc
from google.api.httpbody_pb2 import HttpBody
from joserfc import jwt
from joserfc.jwk import KeySet
from weft.api.v1 import event_pb2, plan_pb2
from weft.user.v1 import (
    auth_service_pb2,
    auth_service_pb2_grpc,
    oauth_service_pb2,
    oauth_service_pb2_grpc,
    partner_pb2,
    partner_service_pb2,
    partner_service_pb2_grpc,
    user_service_pb2_grpc,
)

from chassis.clock import FixedClock
from chassis.storage.database import Query, Row
from services.user.bootstrap import bootstrap
from tests.harness import Harness, Running

PASSWORD = "a quiet morning in Graz"
Metadata = list[tuple[str, str]]


@dataclass
class Person:
    """Someone with an account."""

    email: str
    user_id: str = ""
    password: str = PASSWORD
    sign_up_id: str = ""
    tokens: auth_service_pb2.TokenPair = field(default_factory=auth_service_pb2.TokenPair)

    @property
    def metadata(self) -> Metadata:
        """Of a call with their access token."""
        return [("authorization", f"Bearer {self.tokens.access_token}")]


@dataclass
class Answer:
    """An HTTP-like reply of the OAuth endpoints."""

    status: int
    body: Any
    headers: dict[str, str]


class World:
    """A running service and its callers."""

    def __init__(self, running: Running, harness: Harness, clock: FixedClock) -> None:
        self.app = running.app
        self.running = running
        self.harness = harness
        self.clock = clock
        channel = running.channel
        self.auth: Any = auth_service_pb2_grpc.AuthServiceStub(channel)
        self.oauth: Any = oauth_service_pb2_grpc.OAuthServiceStub(channel)
        self.users: Any = user_service_pb2_grpc.UserServiceStub(channel)
        self.partners: Any = partner_service_pb2_grpc.PartnerServiceStub(channel)
        # The cache outlives a test: names and addresses are of this one alone.
        self._mark = secrets.token_hex(6)
        self.address = f"2001:db8:{self._mark[:4]}:{self._mark[4:8]}::1"

    def email(self, name: str) -> str:
        """An address that no other test has."""
        return f"{name}.{self._mark}@example.com"

    async def rows(self, sql: str, **values: Any) -> list[Row]:
        """Look into the database."""
        return await self.app.database.all(Query(sql), **values)

    async def events(self) -> list[event_pb2.Event]:
        """What waits in the outbox, oldest first."""
        return [
            event_pb2.Event.FromString(row.payload) for row in await self.rows("SELECT payload FROM outbox ORDER BY id")
        ]

    async def emitted(self) -> list[tuple[str, str, int]]:
        """Type, aggregate and sequence of the events."""
        return [(event.type, event.aggregate_id, event.sequence) for event in await self.events()]

    def at(self, address: str = "") -> Metadata:
        """Of a call from a network address, as the edge writes it."""
        return [("x-envoy-external-address", address or self.address)]

    async def sign_up(self, name: str, password: str = PASSWORD, address: str = "", **more: str) -> Person:
        """Someone whose address is not verified yet."""
        request = auth_service_pb2.SignUpRequest(
            email=self.email(name), password=password, **{"display_name": name.title(), **more}
        )
        await self.auth.SignUp(request, metadata=self.at(address))
        return Person(request.email, password=password, sign_up_id=(await self.events())[-1].aggregate_id)

    async def code(self, person: Person) -> str:
        """The code that a mail would carry."""
        request = auth_service_pb2.IssueVerificationCodeRequest(sign_up_id=person.sign_up_id)
        return (await self.auth.IssueVerificationCode(request)).code

    async def verify(self, email: str, code: str, password: str = PASSWORD, address: str = "") -> None:
        """Verify the address of a sign-up."""
        request = auth_service_pb2.VerifyEmailRequest(email=email, code=code, password=password)
        await self.auth.VerifyEmail(request, metadata=self.at(address))

    async def registered(self, name: str, password: str = PASSWORD) -> Person:
        """Someone with an account."""
        person = await self.sign_up(name, password)
        await self.verify(person.email, await self.code(person), password)
        person.user_id = (await self.events())[-1].user_id
        return person

    async def sign_in(self, email: str, password: str, address: str = "") -> auth_service_pb2.TokenPair:
        """Open a session, as from a network address."""
        request = auth_service_pb2.SignInRequest(email=email, password=password)
        return await self.auth.SignIn(request, metadata=self.at(address))

    async def person(self, name: str) -> Person:
        """Someone who is signed in."""
        person = await self.registered(name)
        person.tokens = await self.sign_in(person.email, person.password)
        return person

    async def operator(self) -> Person:
        """The operator of the environment, signed in."""
        email, password = self.email("operator"), "the operator of these tests"
        settings = {"operator_email": email, "operator_password": password}
        app = self.harness.app("user", self.clock, self.app.settings.database_prefix, **settings)
        await app.database.open()
        try:
            await bootstrap(app)
        finally:
            await app.clients.close()
            await app.cache.close()
            await app.database.close()
        tokens = await self.sign_in(email, password)
        return Person(email, tokens.user_id, password, tokens=tokens)

    async def partner(
        self, operator: Person, name: str = "Acme", scopes: str = "users.read users.write"
    ) -> partner_pb2.Partner:
        """A partner."""
        request = partner_service_pb2.CreatePartnerRequest(
            display_name=name, plan=plan_pb2.PLAN_STANDARD, scopes=scopes.split()
        )
        return await self.partners.CreatePartner(request, metadata=operator.metadata)

    async def client(
        self, operator: Person, partner: partner_pb2.Partner, scopes: str = "", **more: Any
    ) -> partner_pb2.Client:
        """A client of a partner's, with its secret."""
        request = partner_service_pb2.CreateClientRequest(
            partner_id=partner.partner_id, display_name="Shop", scopes=scopes.split() or list(partner.scopes), **more
        )
        return await self.partners.CreateClient(request, metadata=operator.metadata)

    async def client_metadata(self, client: partner_pb2.Client) -> Metadata:
        """Of a call with a token of the client's."""
        answer = await self.token(
            client_id=client.client_id, client_secret=client.secret, grant_type="client_credentials"
        )
        return [("authorization", f"Bearer {answer.body['access_token']}")]

    async def token(self, basic: tuple[str, str] | None = None, **form: str) -> Answer:
        """Call the token endpoint, with a form and perhaps HTTP Basic."""
        return await self.post(self.oauth.Token, oauth_service_pb2.TokenRequest, urlencode(form).encode(), basic)

    async def revoke(self, basic: tuple[str, str] | None = None, **form: str) -> Answer:
        """Call the revocation endpoint."""
        return await self.post(self.oauth.Revoke, oauth_service_pb2.RevokeRequest, urlencode(form).encode(), basic)

    async def post(
        self,
        rpc: Any,
        request: Any,
        data: bytes,
        basic: tuple[str, str] | None = None,
        content_type: str = "application/x-www-form-urlencoded",
        authorization: str = "",
        metadata: Metadata | None = None,
    ) -> Answer:
        """Send a form as the edge does."""
        if basic is not None:
            authorization = "Basic " + base64.b64encode(":".join(basic).encode()).decode()
        metadata = [*(metadata or ()), *([("authorization", authorization)] if authorization else [])]
        call = rpc(request(form=HttpBody(content_type=content_type, data=data)), metadata=metadata)
        reply = await call
        headers = {str(key): str(value) for key, value in await call.initial_metadata() or ()}
        return Answer(int(headers.pop("x-http-status", "200")), json.loads(reply.data) if reply.data else None, headers)

    async def claims(self, token: str) -> dict[str, Any]:
        """What a token says, verified with the published keys."""
        published = (await self.oauth.GetJwks(oauth_service_pb2.GetJwksRequest())).data
        return jwt.decode(token, KeySet.import_key_set(json.loads(published)), algorithms=["ES256"]).claims

    def channel_as(self, identity: str) -> grpc.aio.Channel:
        """A channel with another certificate."""
        return self.harness.channel("user", self.running.address, identity)


async def request_token(world: World, client: partner_pb2.Client) -> Answer:
    """Request a token with a client's secret."""
    return await world.token((client.client_id, client.secret), grant_type="client_credentials")


async def change(
    world: World, operator: Person, partner: partner_pb2.Partner, mask: list[str] | None = None, **fields: Any
) -> partner_pb2.Partner:
    """Update a partner, with a mask or without."""
    new = partner_pb2.Partner(partner_id=partner.partner_id, **fields)
    request = partner_service_pb2.UpdatePartnerRequest(partner=new)
    if mask is not None:
        request.update_mask.paths.extend(mask)
        request.update_mask.SetInParent()
    return await world.partners.UpdatePartner(request, metadata=operator.metadata)
