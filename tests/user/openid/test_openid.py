"""Discovery, userinfo and introspection."""

import json
from typing import Any

from weft.user.v1 import openid_pb2 as pb

from tests.user.consents.app import App
from tests.user.consents.conftest import app  # noqa: F401 - a fixture
from tests.user.world import Answer, World


async def userinfo(world: World, token: str) -> Answer:
    call = world.oauth.GetUserInfo(pb.GetUserInfoRequest(), metadata=[("authorization", f"Bearer {token}")])
    reply = await call
    headers = {str(key): str(value) for key, value in await call.initial_metadata() or ()}
    return Answer(int(headers.pop("x-http-status", "200")), json.loads(reply.data), headers)


async def tokens_for(asking: App, scope: str, **more: str) -> dict[str, Any]:
    """Tokens of an app that the person has allowed these scopes."""
    return (await asking.exchange(await asking.code(scope=scope, **more))).body


async def test_userinfo_tells_what_the_scopes_allow(app: App) -> None:  # noqa: F811 - the fixture
    for scope, names in (
        ("openid", {"sub"}),
        ("openid email", {"sub", "email", "email_verified"}),
        ("openid profile", {"sub", "name", "locale", "updated_at"}),
    ):
        answer = await userinfo(app.world, (await tokens_for(app, scope))["access_token"])
        assert (answer.status, set(answer.body), answer.body["sub"]) == (200, names, app.person.user_id)
        assert answer.headers["cache-control"] == "no-store"
    for token in ((await tokens_for(app, "profile email"))["access_token"], app.person.tokens.access_token):
        answer = await userinfo(app.world, token)
        assert (answer.status, answer.body["error"]) == (403, "insufficient_scope")
        assert answer.headers["www-authenticate"].startswith('Bearer realm="weft", error="insufficient_scope"')


async def test_an_id_token_is_for_its_client_and_is_no_access_token(app: App) -> None:  # noqa: F811 - the fixture
    tokens = await tokens_for(app, "openid orders.read", nonce="n-1")
    claims = await app.world.claims(tokens["id_token"])
    assert (claims["aud"], claims["sub"], claims["nonce"]) == (app.client.client_id, app.person.user_id, "n-1")
    assert (claims["iss"], claims["amr"]) == (app.world.app.settings.issuer, ["pwd"])
    assert claims.keys() >= {"iat", "exp", "auth_time", "at_hash"}
    assert "id_token" not in await tokens_for(app, "orders.read")
    reply = await app.world.oauth.Introspect(pb.IntrospectRequest(token=tokens["id_token"]))
    assert reply == pb.IntrospectResponse()


async def test_introspection_tells_of_valid_tokens_only(app: App) -> None:  # noqa: F811 - the fixture
    world, token = app.world, (await tokens_for(app, "orders.read"))["access_token"]
    found = await world.oauth.Introspect(pb.IntrospectRequest(token=token))
    assert (found.active, found.sub, found.client_id) == (True, app.person.user_id, app.client.client_id)
    assert (found.scope, found.token_type) == ("orders.read", "Bearer")
    assert (await world.revoke((app.client.client_id, app.client.secret), token=token)).status == 200
    assert (await world.rows("SELECT 1 FROM sessions WHERE client_id IS NOT NULL AND ended_at IS NULL")) == []
    assert await world.oauth.Introspect(pb.IntrospectRequest(token="x")) == pb.IntrospectResponse()


async def test_the_configuration_is_that_of_the_issuer(app: App) -> None:  # noqa: F811 - the fixture
    reply = await app.world.oauth.GetOpenIdConfiguration(pb.GetOpenIdConfigurationRequest())
    told, issuer = json.loads(reply.data), app.world.app.settings.issuer
    assert (told["issuer"], told["userinfo_endpoint"]) == (issuer, f"{issuer}/oauth2/userinfo")
    assert told["id_token_signing_alg_values_supported"] == ["ES256"]
    assert {"openid", "email", "profile", "offline_access"} <= set(told["scopes_supported"])
