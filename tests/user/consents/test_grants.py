"""Apps that act for people: the authorization request, consent, codes with PKCE and what comes of them."""

import asyncio
import json
import re
from datetime import timedelta

import pytest
from weft.user.v1 import authorization_pb2 as pb
from weft.user.v1 import partner_pb2
from weft.user.v1.auth_service_pb2 import SignOutRequest
from weft.user.v1.session_pb2 import ListSessionsRequest
from weft.user.v1.user_service_pb2 import GetUserRequest, ListUsersRequest

from tests.harness import assert_refused
from tests.user.consents.app import APPROVE, ASK, CALLBACK, CHALLENGE, DENY, VERIFIER, App, answered


async def test_an_app_acts_for_a_person_as_far_as_they_allow_and_no_further(app: App) -> None:
    world = app.world
    answer = answered((await app.decide()).redirect_uri)
    assert set(answer) == {"code", "state", "iss"}
    assert (answer["state"], answer["iss"]) == ("a b&c", world.app.settings.issuer)
    tokens = (await app.exchange(answer["code"])).body
    assert (tokens["scope"], tokens["token_type"]) == ("offline_access orders.read users.read", "Bearer")
    claims = await world.claims(tokens["access_token"])
    assert (claims["sub"], claims["client_id"]) == (app.person.user_id, app.client.client_id)
    assert claims.keys() & {"partner", "roles"} == set()

    metadata = [("authorization", f"Bearer {tokens['access_token']}")]
    assert (await world.users.GetUser(GetUserRequest(user_id="me"), metadata=metadata)).user_id == app.person.user_id
    other = await world.person("eve")
    await assert_refused(
        world.users.GetUser(GetUserRequest(user_id=other.user_id), metadata=metadata),
        "USER_NOT_FOUND",
        user_id=other.user_id,
    )
    for call in (
        world.users.ListUsers(ListUsersRequest(), metadata=metadata),
        world.users.ListSessions(ListSessionsRequest(user_id="me"), metadata=metadata),
        world.auth.SignOut(SignOutRequest(), metadata=metadata),
        world.oauth.DecideConsent(pb.DecideConsentRequest(authorization_request=app.request()), metadata=metadata),
    ):
        await assert_refused(call, "CALLER_NOT_ALLOWED")


async def test_a_code_works_once_and_its_replay_ends_what_came_of_it(app: App) -> None:
    code = await app.code()
    first = await app.exchange(code)
    again = await app.exchange(code)
    assert (again.status, again.body["error"]) == (400, "invalid_grant")
    assert (await app.refresh(first.body["refresh_token"])).body["error"] == "invalid_grant"


async def test_of_ten_exchanges_at_once_one_succeeds(app: App) -> None:
    code = await app.code()
    answers = await asyncio.gather(*(app.exchange(code) for _ in range(10)))
    assert sorted(answer.status for answer in answers) == [200] + [400] * 9


@pytest.mark.parametrize(
    "wrong",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": ""},
        {"code_verifier": CHALLENGE},
        {"redirect_uri": "https://shop.example/callback2"},
        {"redirect_uri": ""},
    ],
)
async def test_a_code_is_bound_to_its_request_and_wrong_use_uses_it_up(app: App, wrong: dict[str, str]) -> None:
    code = await app.code()
    assert (await app.exchange(code, **wrong)).body["error"] == "invalid_grant"
    assert (await app.exchange(code)).body["error"] == "invalid_grant"


async def test_a_code_is_bound_to_its_client_and_its_minute(app: App) -> None:
    partner = await app.world.partner(app.operator, "Mallory", scopes="orders.read")
    other = await app.world.client(app.operator, partner, redirect_uris=[CALLBACK])
    assert (await app.exchange(await app.code(), other)).body["error"] == "invalid_grant"
    code = await app.code()
    app.world.clock.advance(timedelta(seconds=61))
    assert (await app.exchange(code)).body["error"] == "invalid_grant"
    assert (await app.exchange("wac_unknown")).body["error"] == "invalid_grant"
    stored = str(await app.world.rows("SELECT authorization_codes::text FROM authorization_codes"))
    assert code not in stored
    assert code.encode().hex() not in stored


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": ""}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"scope": "users.write"}, "invalid_scope"),
        ({"scope": "products.write"}, "invalid_scope"),
        ({"scope": "payments.read"}, "invalid_scope"),
        ({"scope": "no.such"}, "invalid_scope"),
        ({"prompt": "none"}, "login_required"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "x"}, "invalid_request"),
        ({"request_uri": "urn:x"}, "request_uri_not_supported"),
    ],
)
async def test_what_is_wrong_goes_to_the_client_with_its_state(app: App, changed: dict[str, str], error: str) -> None:
    answer = await app.show(**changed)
    assert answer.status == 302
    told = answered(answer.headers["location"])
    assert (told["error"], told["state"], told["iss"]) == (error, "a b&c", app.world.app.settings.issuer)
    if error != "login_required":
        assert answered((await app.decide(**changed)).redirect_uri)["error"] == error


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "cli_01k00000000000000000000000"},
        {"client_id": ""},
        {"redirect_uri": ""},
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": CALLBACK + "?x=1"},
        {"redirect_uri": "https://shop.example.evil.example/callback"},
        {"redirect_uri": "HTTPS://shop.example/callback"},
        {"redirect_uri": "https://shop.example:443/callback"},
    ],
)
async def test_nobody_is_sent_where_the_client_is_not(app: App, changed: dict[str, str]) -> None:
    for accept in ("application/json", "text/html"):
        answer = await app.show(accept, **changed)
        assert (answer.status, "location" in answer.headers) == (400, False)
    await assert_refused(app.decide(**changed), "AUTHORIZATION_REQUEST_INVALID")


async def test_the_page_shows_who_asks_and_holds_no_markup_of_theirs(app: App) -> None:
    answer = await app.show("text/html,*/*", state='"><script>alert(1)</script>')
    assert (answer.status, "<script>alert" in answer.body) == (200, False)
    assert "<h1>Shop</h1>" in answer.body
    assert "shop.example" in answer.body
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    told = json.loads((await app.show()).body)
    assert told == {
        "client_id": app.client.client_id,
        "client_name": "Shop",
        "redirect_uri": CALLBACK,
        "scope": "offline_access orders.read users.read",
    }


async def test_the_script_finds_its_parts_in_the_page_and_calls_what_there_is(app: App) -> None:
    whole = (await app.show("text/html")).body
    markup, _, script = whole.partition("<script>")
    for found in re.findall(r'at\("([a-z-]+)"\)', script):
        assert f'id="{found}"' in markup, found
    routes = {method.route.path: method for method in app.world.app.contract.methods if method.route}
    calls = re.findall(r'post\("([^"]+)"', script)
    assert sorted(calls) == [
        "/oauth2/authorize",
        "/v1/auth:beginPasskeySignIn",
        "/v1/auth:finishPasskeySignIn",
        "/v1/auth:signIn",
        "/v1/auth:signOut",
    ]
    assert set(calls) <= routes.keys()
    answers = {reason.name for path in calls for reason in routes[path].errors}
    assert set(re.findall(r"\b([A-Z]+_[A-Z_]+): \"", script)) <= answers


async def test_consent_is_asked_once_and_again_for_more(app: App) -> None:
    assert (await app.decide(ASK)).consent_required
    assert answered((await app.decide(DENY)).redirect_uri)["error"] == "access_denied"
    assert (await app.decide(ASK)).consent_required
    assert answered((await app.decide(ASK, prompt="none")).redirect_uri)["error"] == "consent_required"
    await app.decide(APPROVE, scope="orders.read")
    assert "code" in answered((await app.decide(ASK, scope="orders.read")).redirect_uri)
    assert (await app.decide(ASK)).consent_required
    assert (await app.decide(ASK, scope="orders.read", prompt="consent")).consent_required
    app.world.clock.advance(timedelta(seconds=700))
    for stale in ({"max_age": "600"}, {"prompt": "login"}):
        assert answered((await app.decide(**stale)).redirect_uri)["error"] == "login_required"


async def test_a_native_app_needs_no_secret_and_takes_any_port_of_its_machine(app: App) -> None:
    request = {"authentication": partner_pb2.CLIENT_AUTHENTICATION_NONE, "redirect_uris": ["http://127.0.0.1/cb"]}
    partner = await app.world.partner(app.operator, "Phone", scopes="orders.read")
    app.client = await app.world.client(app.operator, partner, **request)
    own = {"redirect_uri": "http://127.0.0.1:4711/cb", "scope": "orders.read offline_access"}
    for other in ("http://127.0.0.1:4711/cb2", "http://127.0.0.1:4711@evil.example/cb", "http://127.0.0.2:4711/cb"):
        assert (await app.show(redirect_uri=other)).status == 400
    code = answered((await app.decide(**own)).redirect_uri, own["redirect_uri"])["code"]
    # Anyone can say that they are it: the person is asked each time.
    assert (await app.decide(ASK, **own)).consent_required
    form = {"client_id": app.client.client_id, "code": code, "redirect_uri": own["redirect_uri"]}
    tokens = (await app.world.token(grant_type="authorization_code", code_verifier=VERIFIER, **form)).body
    named = {"client_id": app.client.client_id, "refresh_token": tokens["refresh_token"]}
    assert (await app.world.token(grant_type="refresh_token", **named)).status == 200
    nameless = await app.world.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert nameless.body["error"] == "invalid_grant"


async def test_refresh_tokens_are_bound_rotate_and_are_revoked_by_their_client_alone(app: App) -> None:
    tokens = (await app.exchange(await app.code())).body
    token = tokens["refresh_token"]
    assert (await app.world.revoke(token=token)).status == 200
    wider = await app.refresh(token, scope="orders.read users.write")
    assert wider.body["error"] == "invalid_scope"
    narrow = (await app.refresh(token, scope="orders.read")).body
    assert narrow["scope"] == "orders.read"
    whole = (await app.refresh(narrow["refresh_token"])).body
    assert whole["scope"] == tokens["scope"]
    assert (
        await app.world.revoke((app.client.client_id, app.client.secret), token=whole["refresh_token"])
    ).status == 200
    assert (await app.refresh(whole["refresh_token"])).body["error"] == "invalid_grant"
    without = (await app.exchange(await app.code(scope="orders.read"))).body
    assert "refresh_token" not in without


async def test_a_reused_refresh_token_of_an_app_ends_its_session(app: App) -> None:
    first = (await app.exchange(await app.code())).body["refresh_token"]
    second = (await app.refresh(first)).body["refresh_token"]
    assert (await app.refresh(first)).body["refresh_token"] == second  # a reply may be lost
    third = (await app.refresh(second)).body["refresh_token"]
    assert (await app.refresh(first)).body["error"] == "invalid_grant"
    assert (await app.refresh(third)).body["error"] == "invalid_grant"
