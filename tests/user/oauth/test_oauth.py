"""The OAuth 2.0 endpoints: RFC 6749 on the wire, for stock libraries."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from oauthlib.oauth2 import BackendApplicationClient
from oauthlib.oauth2.rfc6749 import errors as oauth_errors
from weft.user.v1 import oauth_service_pb2, partner_pb2
from weft.user.v1.oauth_service_pb2 import GetJwksRequest, GetMetadataRequest, TokenRequest
from weft.user.v1.user_service_pb2 import ListUsersRequest

from tests.harness import assert_refused, reason_of
from tests.servers import until
from tests.user.world import Answer, World

CREDENTIALS = "client_credentials"


@pytest.fixture
async def client(world: World) -> partner_pb2.Client:
    """A client with its secret."""
    operator = await world.operator()
    return await world.client(operator, await world.partner(operator))


def expect(answer: Answer, status: int, error: str) -> None:
    """An error of RFC 6749, section 5.2, with its headers."""
    assert (answer.status, answer.body["error"]) == (status, error)
    assert set(answer.body) == {"error", "error_description"}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    assert ("www-authenticate" in answer.headers) == (status == 401)


async def test_basic_and_form_credentials_get_a_token(world: World, client: partner_pb2.Client) -> None:
    basic = await world.token((client.client_id, client.secret), grant_type=CREDENTIALS)
    form = await world.token(grant_type=CREDENTIALS, client_id=client.client_id, client_secret=client.secret)
    for answer in (basic, form):
        assert answer.status == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.body.pop("access_token")
        assert answer.body == {"token_type": "Bearer", "expires_in": 900, "scope": "users.read users.write"}


async def test_a_clients_token_says_whose_it_is_and_works(world: World, client: partner_pb2.Client) -> None:
    answer = await world.token((client.client_id, client.secret), grant_type=CREDENTIALS, scope="users.read")
    claims = await world.claims(answer.body["access_token"])
    now = int(world.clock.now().timestamp())
    assert claims.pop("jti")
    assert claims == {
        "iss": world.app.settings.issuer,
        "aud": "weft",
        "sub": client.client_id,
        "client_id": client.client_id,
        "partner": client.partner_id,
        "scope": "users.read",
        "plan": "standard",
        "mode": "LIVE",
        "gen": 0,
        "partner_gen": 0,
        "iat": now,
        "exp": now + 900,
    }
    metadata = [("authorization", f"Bearer {answer.body['access_token']}")]
    assert (await world.users.ListUsers(ListUsersRequest(), metadata=metadata)).next_page_token == ""


async def test_a_stock_library_reads_tokens_and_errors(world: World, client: partner_pb2.Client) -> None:
    library = BackendApplicationClient(client.client_id, scope=["users.read"])
    form = library.prepare_request_body(include_client_id=True, client_secret=client.secret)
    answer = await world.post(world.oauth.Token, TokenRequest, form.encode())
    token = library.parse_request_body_response(json.dumps(answer.body))
    assert (token["token_type"], token["scope"], token["expires_in"]) == ("Bearer", ["users.read"], 900)

    form = library.prepare_request_body(include_client_id=True, client_secret="wrong")
    answer = await world.post(world.oauth.Token, TokenRequest, form.encode())
    with pytest.raises(oauth_errors.InvalidClientError):
        library.parse_request_body_response(json.dumps(answer.body))


async def test_a_charset_beside_the_content_type_is_fine(world: World, client: partner_pb2.Client) -> None:
    data = f"grant_type={CREDENTIALS}&client_id={client.client_id}&client_secret={client.secret}".encode()
    answer = await world.post(
        world.oauth.Token, TokenRequest, data, content_type="application/x-www-form-urlencoded; charset=UTF-8"
    )
    assert answer.status == 200


@pytest.mark.parametrize("named", ["wrong secret", "unknown client", "old secret", "no secret", "revoked"])
async def test_all_failed_client_authentications_get_the_same_response(
    world: World, client: partner_pb2.Client, named: str
) -> None:
    credentials = {
        "wrong secret": (client.client_id, client.secret + "x"),
        "unknown client": ("cli_01k00000000000000000000000", client.secret),
        "old secret": (client.client_id, client.secret),
        "no secret": (client.client_id, ""),
        "revoked": (client.client_id, client.secret),
    }[named]
    if named == "old secret":
        await world.rows("DELETE FROM client_secrets RETURNING 1")
    if named == "revoked":
        await world.rows("UPDATE clients SET revoked_at = now() RETURNING 1")
    answer = await world.token(credentials, grant_type=CREDENTIALS)
    expect(answer, 401, "invalid_client")
    assert answer.headers["www-authenticate"] == 'Basic realm="weft", charset="UTF-8"'
    assert answer.body["error_description"] == "Client authentication failed."


FORMS: list[tuple[str, int, str]] = [
    ("", 400, "invalid_request"),
    ("grant_type=client_credentials", 401, "invalid_client"),
    ("grant_type=client_credentials&client_secret={secret}", 400, "invalid_request"),
    ("grant_type=client_credentials&client_id={id}", 401, "invalid_client"),
    ("client_id={id}&client_secret={secret}", 400, "invalid_request"),
    ("grant_type=&client_id={id}&client_secret={secret}", 400, "invalid_request"),
    (
        "grant_type=client_credentials&grant_type=client_credentials&client_id={id}&client_secret={secret}",
        400,
        "invalid_request",
    ),
    ("grant_type=password&username=a&password=b&client_id={id}&client_secret={secret}", 400, "unsupported_grant_type"),
    ("grant_type=authorization_code", 401, "invalid_client"),
    ("grant_type=client_credentials&scope=orders.write&client_id={id}&client_secret={secret}", 400, "invalid_scope"),
    (
        "grant_type=client_credentials&scope=users.read%20no.such&client_id={id}&client_secret={secret}",
        400,
        "invalid_scope",
    ),
    ("grant_type=refresh_token", 400, "invalid_request"),
    ("grant_type=refresh_token&refresh_token=wrt_unknown", 400, "invalid_grant"),
    ("grant_type=refresh_token&refresh_token=x&client_id={id}&client_secret={secret}", 400, "unauthorized_client"),
    ("=;&&&%%%=", 400, "invalid_request"),
    ("grant_type=%ff%fe", 400, "invalid_request"),
    ("grant_type=client_credentials&client_id=a%00&client_secret=x", 400, "invalid_request"),
    ("&".join(f"a{n}=1" for n in range(50)), 400, "invalid_request"),
]


@pytest.mark.parametrize(("form", "status", "error"), FORMS)
async def test_invalid_requests_get_the_errors_of_the_rfc(
    world: World, client: partner_pb2.Client, form: str, status: int, error: str
) -> None:
    data = form.replace("{id}", client.client_id).replace("{secret}", client.secret).encode()
    expect(await world.post(world.oauth.Token, TokenRequest, data), status, error)


async def test_what_is_no_form_is_refused(world: World) -> None:
    body = b'{"grant_type": "client_credentials"}'
    for content_type in ("application/json", "", "text/plain"):
        answer = await world.post(world.oauth.Token, TokenRequest, body, content_type=content_type)
        expect(answer, 400, "invalid_request")
    expect(await world.post(world.oauth.Token, TokenRequest, b"\xff\xfe"), 400, "invalid_request")


async def test_a_client_authenticates_in_one_way(world: World, client: partner_pb2.Client) -> None:
    both = (client.client_id, client.secret)
    twice = await world.token(both, grant_type=CREDENTIALS, client_id=client.client_id, client_secret=client.secret)
    expect(twice, 400, "invalid_request")
    other = await world.token(both, grant_type=CREDENTIALS, client_id="cli_other")
    expect(other, 400, "invalid_request")
    named = await world.token(both, grant_type=CREDENTIALS, client_id=client.client_id)
    assert named.status == 200


@pytest.mark.parametrize(
    "encoded",
    ["!!!", base64.b64encode(b"no colon").decode(), base64.b64encode(b"\xff:x").decode(), "AGI6eA==", "JTAwOng="],
)
async def test_basic_credentials_that_cannot_be_read_are_invalid(world: World, encoded: str) -> None:
    data = f"grant_type={CREDENTIALS}".encode()
    answer = await world.post(world.oauth.Token, TokenRequest, data, authorization=f"Basic {encoded}")
    expect(answer, 401, "invalid_client")


async def test_a_session_is_refreshed_over_oauth_too(world: World) -> None:
    person = await world.person("ada")
    answer = await world.token(
        grant_type="refresh_token", refresh_token=person.tokens.refresh_token, scope="orders.read"
    )
    assert (answer.status, answer.body["scope"]) == (200, "orders.read")
    claims = await world.claims(answer.body["access_token"])
    assert (claims["sub"], claims["scope"], claims["roles"]) == (person.user_id, "orders.read", ["customer"])

    too_much = await world.token(
        grant_type="refresh_token", refresh_token=answer.body["refresh_token"], scope="users.admin"
    )
    expect(too_much, 400, "invalid_scope")
    whole = await world.token(grant_type="refresh_token", refresh_token=answer.body["refresh_token"])
    assert len(whole.body["scope"].split()) == 6
    reused = await world.token(grant_type="refresh_token", refresh_token=person.tokens.refresh_token)
    expect(reused, 400, "invalid_grant")


async def test_a_revoked_refresh_token_ends_its_session(world: World) -> None:
    person = await world.person("ada")
    for _ in range(2):
        answer = await world.revoke(token=person.tokens.refresh_token, token_type_hint="refresh_token")
        assert (answer.status, answer.body) == (200, None)
    used = await world.token(grant_type="refresh_token", refresh_token=person.tokens.refresh_token)
    expect(used, 400, "invalid_grant")


async def test_an_unknown_token_is_revoked_with_success(world: World) -> None:
    assert (await world.revoke(token="whatever")).status == 200


async def test_a_clients_access_token_is_revoked_by_that_client_alone(world: World, client: partner_pb2.Client) -> None:
    access = (await world.token((client.client_id, client.secret), grant_type=CREDENTIALS)).body["access_token"]
    other = await world.client(await world.operator(), client)
    metadata = [("authorization", f"Bearer {access}")]
    for basic in (None, (other.client_id, other.secret)):
        assert (await world.revoke(basic, token=access)).status == 200
    await world.users.ListUsers(ListUsersRequest(), metadata=metadata)
    assert (await world.revoke((client.client_id, client.secret), token=access)).status == 200

    async def refused_now() -> bool:
        return await reason_of(world.users.ListUsers(ListUsersRequest(), metadata=metadata)) == "TOKEN_REVOKED"

    await until(refused_now, "the token to be refused")
    next_one = await world.client_metadata(client)
    await world.users.ListUsers(ListUsersRequest(), metadata=next_one)


async def test_what_cannot_be_revoked_is_said(world: World, client: partner_pb2.Client) -> None:
    expect(await world.revoke(token_type_hint="refresh_token"), 400, "invalid_request")
    expect(await world.revoke((client.client_id, "wrong"), token="x"), 401, "invalid_client")
    assert (await world.revoke((client.client_id, client.secret), token="x")).status == 200
    assert (await world.revoke((client.client_id, client.secret), token="a.b.c")).status == 200


async def test_the_metadata_is_served_at_the_issuer(world: World) -> None:
    call = world.oauth.GetMetadata(GetMetadataRequest())
    reply = await call
    told = json.loads(reply.data)
    issuer = world.app.settings.issuer
    assert (reply.content_type, told["issuer"]) == ("application/json", issuer)
    assert all(value.startswith(f"{issuer}/") for name, value in told.items() if name.endswith(("_endpoint", "_uri")))
    assert told["scopes_supported"] == sorted({method.scope for method in world.app.contract.methods if method.scope})
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert ("cache-control", "public, max-age=300") in tuple(await call.initial_metadata())


async def published(world: World) -> list[dict[str, Any]]:
    return json.loads((await world.oauth.GetJwks(GetJwksRequest())).data)["keys"]


async def test_the_keys_are_public_halves(world: World) -> None:
    (key,) = await published(world)
    assert {name: key[name] for name in ("kty", "crv", "use", "alg")} == {
        "kty": "EC",
        "crv": "P-256",
        "use": "sig",
        "alg": "ES256",
    }
    assert "d" not in key


async def test_a_client_that_bears_a_stale_token_can_still_get_one(world: World, client: partner_pb2.Client) -> None:
    data = f"grant_type={CREDENTIALS}&client_id={client.client_id}&client_secret={client.secret}".encode()
    answer = await world.post(world.oauth.Token, TokenRequest, data, authorization="Bearer stale")
    assert answer.status == 200


async def test_an_outage_is_not_a_wrong_secret(world: World, client: partner_pb2.Client) -> None:
    await world.app.database.close()
    form = oauth_service_pb2.TokenRequest()
    form.form.content_type = "application/x-www-form-urlencoded"
    form.form.data = f"grant_type={CREDENTIALS}&client_id={client.client_id}&client_secret={client.secret}".encode()
    await assert_refused(world.oauth.Token(form, timeout=5), "SERVICE_UNAVAILABLE")


async def test_a_token_outlives_its_clients_secret_by_a_quarter_of_an_hour(
    world: World, client: partner_pb2.Client
) -> None:
    answer = await world.token((client.client_id, client.secret), grant_type=CREDENTIALS)
    claims = await world.claims(answer.body["access_token"])
    assert timedelta(seconds=claims["exp"] - claims["iat"]) == timedelta(minutes=15)
