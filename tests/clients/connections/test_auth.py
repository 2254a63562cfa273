"""Tokens: fetched once for all, renewed in time, fetched again when refused, never shown."""

import asyncio
import json
import threading
from itertools import count
from typing import Any

import pytest
from google.api import httpbody_pb2
from weft.order.v1 import order_pb2
from weft.user.v1 import auth_service_pb2
from weft_client import Bearer, ClientCredentials, Password, Retries, errors, testing

QUICK = Retries(first_pause_s=0.01, max_pause_s=0.05)
CLIENT = ClientCredentials("cli_1", "hush hush", scope="orders.read")


@pytest.fixture
def issued(fakes: testing.Fakes) -> list[str]:
    """The tokens that the token endpoint gave out, each good for an hour."""
    given: list[str] = []
    numbers = count(1)
    fakes.reply("orders.get_order", order_pb2.Order(order_id="ord_1"))

    @fakes.on("oauth.token")
    def token(_: Any) -> httpbody_pb2.HttpBody:
        given.append(f"token-{next(numbers)}")
        return _json({"access_token": given[-1], "token_type": "Bearer", "expires_in": 3600})

    return given


def _json(content: dict[str, Any]) -> httpbody_pb2.HttpBody:
    return httpbody_pb2.HttpBody(content_type="application/json", data=json.dumps(content).encode())


def _sent(fakes: testing.Fakes, name: str = "orders.get_order") -> list[Any]:
    return [received.metadata.get("authorization") for received in fakes.calls(name)]


async def test_many_calls_at_once_share_one_fetch(connect: Any, fakes: testing.Fakes, issued: list[str]) -> None:
    client = connect(fakes.address, auth=CLIENT)
    await asyncio.gather(*(client.call("orders.get_order", order_id="ord_1") for _ in range(20)))
    assert (issued, set(_sent(fakes))) == (["token-1"], {"Bearer token-1"})
    form = fakes.calls("oauth.token")[0].request.form
    assert form.content_type == "application/x-www-form-urlencoded"
    expected = b"grant_type=client_credentials&client_id=cli_1&client_secret=hush+hush&scope=orders.read"
    assert form.data == expected


async def test_a_refused_token_is_fetched_anew_once(connect: Any, fakes: testing.Fakes, issued: list[str]) -> None:
    client = connect(fakes.address, auth=CLIENT)
    fakes.fail("orders.get_order", errors.TokenExpired("over"))
    order = await client.call("orders.get_order", order_id="ord_1")
    assert (order.order_id, issued) == ("ord_1", ["token-1", "token-2"])
    assert _sent(fakes) == ["Bearer token-1", "Bearer token-2"]


async def test_a_refused_token_costs_no_retry(connect: Any, fakes: testing.Fakes, issued: list[str]) -> None:
    """The call was refused before anything was done, so that nothing is done twice."""
    fakes.reply("auth.sign_out")
    fakes.fail("auth.sign_out", errors.TokenExpired("over"))
    await connect(fakes.address, auth=CLIENT, retries=Retries(attempts=1)).call("auth.sign_out")
    assert (len(fakes.calls("auth.sign_out")), len(issued)) == (2, 2)


async def test_a_token_that_is_refused_for_good_is_told(connect: Any, fakes: testing.Fakes, issued: list[str]) -> None:
    fakes.fail("orders.get_order", errors.TokenInvalid("not ours"), times=5)
    with pytest.raises(errors.TokenInvalid):
        await connect(fakes.address, auth=CLIENT).call("orders.get_order", order_id="ord_1")
    assert (len(fakes.calls("orders.get_order")), len(issued)) == (2, 2)


async def test_a_fixed_token_is_not_tried_again(connect: Any, fakes: testing.Fakes) -> None:
    fakes.fail("orders.get_order", errors.TokenExpired("over"), times=5)
    with pytest.raises(errors.TokenExpired):
        await connect(fakes.address, auth=Bearer("mine")).call("orders.get_order", order_id="ord_1")
    assert _sent(fakes) == ["Bearer mine"]


async def test_a_token_is_renewed_before_it_ends(connect: Any, fakes: testing.Fakes) -> None:
    fakes.reply("orders.get_order", order_pb2.Order())
    lifetimes = iter([0.0, 3600.0])

    @fakes.on("oauth.token")
    def token(_: Any) -> httpbody_pb2.HttpBody:
        seconds = next(lifetimes)
        return _json({"access_token": f"for-{seconds}", "expires_in": seconds})

    client = connect(fakes.address, auth=CLIENT)
    for _ in range(3):
        await client.call("orders.get_order", order_id="ord_1")
    assert _sent(fakes) == ["Bearer for-0.0", "Bearer for-3600.0", "Bearer for-3600.0"]


async def test_while_one_call_renews_the_others_go_on(connect: Any, fakes: testing.Fakes) -> None:
    fakes.reply("orders.get_order", order_pb2.Order())
    renewing, go_on, first = threading.Event(), threading.Event(), True

    @fakes.on("oauth.token")
    def token(_: Any) -> httpbody_pb2.HttpBody:
        nonlocal first
        if first:
            first = False
            return _json({"access_token": "old", "expires_in": 1000})
        renewing.set()
        go_on.wait(10)
        return _json({"access_token": "new", "expires_in": 1000})

    client = connect(fakes.address, auth=CLIENT)
    await client.call("orders.get_order", order_id="ord_1")
    tokens = client.client._auth
    tokens._token = type(tokens._token)(tokens._token.header, 0.0, tokens._token.end)  # due, and not over
    renewer = asyncio.create_task(client.call("orders.get_order", order_id="ord_1"))
    await asyncio.to_thread(renewing.wait, 10)
    await client.call("orders.get_order", order_id="ord_1")
    assert _sent(fakes) == ["Bearer old", "Bearer old"]
    go_on.set()
    await renewer
    assert _sent(fakes)[2:] == ["Bearer new"]


async def test_a_refused_client_is_told_in_the_endpoint_s_words(connect: Any, fakes: testing.Fakes) -> None:
    fakes.reply("oauth.token", _json({"error": "invalid_client", "error_description": "Client authentication failed."}))
    with pytest.raises(errors.Unauthenticated, match="Client authentication failed") as raised:
        await connect(fakes.address, auth=CLIENT).call("orders.get_order", order_id="ord_1")
    assert "hush" not in repr(raised.value) + str(raised.value)
    assert fakes.calls("orders.get_order") == []


async def test_the_token_endpoint_is_retried(connect: Any, fakes: testing.Fakes, issued: list[str]) -> None:
    fakes.fail("oauth.token", errors.Unavailable("restarting"), times=2)
    await connect(fakes.address, auth=CLIENT, retries=QUICK).call("orders.get_order", order_id="ord_1")
    assert (len(fakes.calls("oauth.token")), issued) == (3, ["token-1"])


async def test_calls_that_open_the_door_bear_no_token(connect: Any, fakes: testing.Fakes, issued: list[str]) -> None:
    fakes.reply("auth.sign_in", auth_service_pb2.TokenPair(access_token="a"))
    await connect(fakes.address, auth=CLIENT).call("auth.sign_in", email="a@b.example", password="x")
    assert (_sent(fakes, "auth.sign_in"), issued) == ([None], [])


async def test_a_session_is_renewed_and_when_it_is_over_signed_in_anew(connect: Any, fakes: testing.Fakes) -> None:
    fakes.reply("orders.get_order", order_pb2.Order())
    numbers = count(1)

    def pair(lifetime: int) -> auth_service_pb2.TokenPair:
        number = next(numbers)
        made = auth_service_pb2.TokenPair(access_token=f"access-{number}", refresh_token=f"refresh-{number}")
        made.access_token_expire_time.GetCurrentTime()
        made.access_token_expire_time.seconds += lifetime
        return made

    fakes.on("auth.sign_in")(lambda _: pair(3600))
    fakes.on("auth.refresh")(lambda _: pair(3600))
    client = connect(fakes.address, auth=Password("a@b.example", "a long password"))
    await client.call("orders.get_order", order_id="ord_1")
    fakes.fail("orders.get_order", errors.TokenExpired("over"))
    await client.call("orders.get_order", order_id="ord_1")
    assert fakes.calls("auth.refresh")[0].request.refresh_token == "refresh-1"
    fakes.fail("orders.get_order", errors.TokenExpired("over"))
    fakes.fail("auth.refresh", errors.RefreshTokenInvalid("revoked"))
    await client.call("orders.get_order", order_id="ord_1")
    assert (len(fakes.calls("auth.sign_in")), len(fakes.calls("auth.refresh"))) == (2, 2)
    assert _sent(fakes) == [f"Bearer access-{n}" for n in (1, 1, 2, 2, 3)]


@pytest.mark.parametrize("secret", [Bearer("hush hush"), CLIENT, Password("hush@hush.example", "hush hush")])
def test_secrets_show_in_no_repr(secret: Any) -> None:
    assert "hush" not in repr(secret)
