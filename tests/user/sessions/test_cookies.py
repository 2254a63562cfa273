"""A browser's refresh token in a cookie: no script reads it, and no other site uses it."""

from http.cookies import SimpleCookie
from typing import Any

import pytest
from weft.user.v1.auth_service_pb2 import RefreshRequest, SignInRequest, SignOutRequest, TokenPair

from tests.harness import assert_refused
from tests.user.conftest import Start
from tests.user.world import Metadata, Person, World

PROOF = ("x-csrf", "1")
SECURE = "__Secure-weft-refresh"


async def called(call: Any) -> tuple[Any, list[str]]:
    """The reply, and the cookies that it sets."""
    reply = await call
    return reply, [str(value) for name, value in await call.initial_metadata() if name == "set-cookie"]


async def signed_in(world: World, person: Person) -> tuple[TokenPair, str]:
    request = SignInRequest(email=person.email, password=person.password, keep_in_cookie=True)
    reply, (cookie,) = await called(world.auth.SignIn(request, metadata=world.at()))
    return reply, cookie


def sent(cookie: str) -> str:
    """What a browser makes of it."""
    return cookie.partition(";")[0]


async def refresh(world: World, *metadata: tuple[str, str], token: str = "") -> tuple[TokenPair, list[str]]:
    return await called(world.auth.Refresh(RefreshRequest(refresh_token=token), metadata=list(metadata)))


async def test_the_refresh_token_is_in_the_cookie_and_nowhere_else(world: World) -> None:
    person = await world.registered("ada")
    reply, cookie = await signed_in(world, person)
    assert reply.access_token
    assert reply.refresh_token == ""
    (morsel,) = SimpleCookie(cookie).values()
    assert morsel.key == SECURE
    assert morsel.value.startswith("wrt_")
    # A cookie for /v1/auth would not be sent to /v1/auth:refresh (RFC 6265, section 5.1.4).
    assert {name: value for name, value in morsel.items() if value} == {
        "path": "/v1/auth:refresh", "max-age": "2592000", "httponly": True, "samesite": "Strict", "secure": True,
    }  # fmt: skip

    fresh, (second,) = await refresh(
        world, ("cookie", f"a=b; {sent(cookie)}"), PROOF, ("sec-fetch-site", "same-origin")
    )
    assert (fresh.refresh_token, fresh.user_id) == ("", person.user_id)
    assert sent(second) != sent(cookie)
    again, (same,) = await refresh(world, ("cookie", sent(cookie)), PROOF)  # the other tab
    assert (sent(same), again.refresh_token) == (sent(second), "")

    metadata: Metadata = [("authorization", f"Bearer {fresh.access_token}")]
    _, (cleared,) = await called(world.auth.SignOut(SignOutRequest(), metadata=metadata))
    assert cleared == f"{SECURE}=; Max-Age=0; Path=/v1/auth:refresh; HttpOnly; SameSite=Strict; Secure"
    await assert_refused(refresh(world, ("cookie", sent(second)), PROOF), "REFRESH_TOKEN_INVALID")


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("x-csrf", "0"),),
        (PROOF, ("sec-fetch-site", "cross-site")),
        (PROOF, ("sec-fetch-site", "same-site")),
        (PROOF, ("sec-fetch-site", "none")),
    ],
)
async def test_another_site_gets_nothing_for_the_cookie(world: World, headers: Metadata) -> None:
    _, cookie = await signed_in(world, await world.registered("ada"))
    await assert_refused(refresh(world, ("cookie", sent(cookie)), *headers), "CROSS_SITE_REQUEST")
    await refresh(world, ("cookie", sent(cookie)), PROOF)  # nothing was used up


async def test_who_sends_the_token_itself_is_answered_with_one_and_no_cookie(world: World) -> None:
    person = await world.person("ada")
    _, cookie = await signed_in(world, person)
    fresh, cookies = await refresh(world, ("cookie", sent(cookie)), token=person.tokens.refresh_token)
    assert fresh.refresh_token.startswith("wrt_")
    assert cookies == []


@pytest.mark.parametrize(
    ("cookies", "reason"),
    [
        ([], "REQUEST_INVALID"),
        (["other=wrt_1; weft-refresh=wrt_1"], "REQUEST_INVALID"),
        ([f"{SECURE}="], "REQUEST_INVALID"),
        ([f"{SECURE}=wrt_made_up"], "REFRESH_TOKEN_INVALID"),
        ([f"{SECURE}=a; {SECURE}=b"], "REFRESH_TOKEN_INVALID"),  # set by another site of the domain
        ([f"{SECURE}=a", f"{SECURE}=b"], "REFRESH_TOKEN_INVALID"),
    ],
)
async def test_a_cookie_that_is_not_ours_is_refused(world: World, cookies: list[str], reason: str) -> None:
    named = {"refresh_token": "must be given"} if reason == "REQUEST_INVALID" else None
    call = refresh(world, *(("cookie", cookie) for cookie in cookies), PROOF)
    await assert_refused(call, reason, violations=named)


async def test_over_plain_http_it_works_for_development(start: Start) -> None:
    async with start(issuer="http://localhost:8080") as world:
        _, cookie = await signed_in(world, await world.registered("ada"))
        assert cookie.startswith("weft-refresh=wrt_")
        assert "Secure" not in cookie
        fresh, _ = await refresh(world, ("cookie", sent(cookie)), PROOF)
        assert fresh.access_token


async def test_a_failed_sign_in_sets_no_cookie(world: World) -> None:
    person = await world.registered("ada")
    request = SignInRequest(email=person.email, password="not the password", keep_in_cookie=True)
    call = world.auth.SignIn(request, metadata=world.at())
    await assert_refused(call, "CREDENTIALS_INVALID")
    assert not [name for name, _ in await call.initial_metadata() if name == "set-cookie"]
