"""`private_key_jwt`: clients that prove a key instead of sending a secret."""

import secrets
import time
from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from weft.user.v1 import partner_pb2

from services.user.oauth.assertions import ASSERTION_TYPE
from tests.user.world import Answer, World

KEY, OTHER = (ECKey.generate_key("P-256", {"kid": "k1"}) for _ in range(2))


@pytest.fixture
async def client(world: World) -> partner_pb2.Client:
    """A client that authenticates with its key only."""
    operator = await world.operator()
    keys = json_format.ParseDict({"keys": [KEY.as_dict(private=False)]}, struct_pb2.Struct())
    partner = await world.partner(operator)
    return await world.client(
        operator, partner, authentication=partner_pb2.CLIENT_AUTHENTICATION_PRIVATE_KEY, jwks=keys
    )


def signed(client: partner_pb2.Client, world: World, key: Any = KEY, alg: str = "ES256", **changed: Any) -> str:
    """An assertion, with changed claims; None leaves one out."""
    now = world.clock.now().timestamp()
    claims = {
        "iss": client.client_id, "sub": client.client_id, "aud": world.app.settings.issuer, "iat": now,
        "exp": now + 60, "jti": secrets.token_hex(8), **changed,
    }  # fmt: skip
    return jwt.encode({"alg": alg}, {name: value for name, value in claims.items() if value is not None}, key)


async def present(world: World, assertion: str, **more: str) -> Answer:
    form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, **more}
    return await world.token(grant_type="client_credentials", **form)


async def test_an_assertion_authenticates_its_client_once(world: World, client: partner_pb2.Client) -> None:
    assertion = signed(client, world)
    assert (await present(world, assertion)).status == 200
    assert (await present(world, assertion)).body["error"] == "invalid_client"
    endpoint = f"{world.app.settings.issuer}/oauth2/token"
    assert (await present(world, signed(client, world, aud=endpoint), client_id=client.client_id)).status == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "https://elsewhere.example"},
        {"aud": ["https://weft.test", "https://elsewhere.example"]},
        {"aud": None},
        {"iss": "cli_other"},
        {"jti": None},
        {"jti": "x" * 256},
        {"exp": None},
        {"exp": time.time() + 10**6, "iat": None},
        {"exp": time.time() + 10**6, "iat": time.time() - 400},
        {"exp": 1},
        {"exp": "soon"},
        {"iat": time.time() + 10**6},
        {"key": OTHER},
        {"key": OctKey.import_key("s" * 32), "alg": "HS256"},
    ],
)
async def test_an_assertion_that_is_not_right_proves_nothing(
    world: World, client: partner_pb2.Client, changed: dict[str, Any]
) -> None:
    answer = await present(world, signed(client, world, **changed))
    assert (answer.status, answer.body["error"]) == (401, "invalid_client")


async def test_an_assertion_is_one_method_and_names_its_client(world: World, client: partner_pb2.Client) -> None:
    assertion = signed(client, world)
    both = await present(world, assertion, client_id=client.client_id, client_secret="x")
    other = await present(world, assertion, client_id="cli_other")
    kind = await world.token(grant_type="client_credentials", client_assertion=assertion, client_assertion_type="x")
    assert [answer.body["error"] for answer in (both, other, kind)] == ["invalid_request"] * 3
    for broken in ("x", "a.b.c", "..", "eyJhbGciOiJub25lIn0." + assertion.split(".")[1] + "."):
        assert (await present(world, broken)).status == 401
