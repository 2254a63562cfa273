"""What a caller may give besides the request: time, key, address; and what is refused before anything is sent."""

import logging
from typing import Any

import pytest
from weft.order.v1 import order_pb2
from weft_client import AsyncWeft, Plaintext, Retries, errors, testing
from weft_client.target import proxy

LINES = [{"product_id": "prd_1", "quantity": 1}]


@pytest.fixture
def orders(fakes: testing.Fakes) -> testing.Fakes:
    """Answers every order."""
    fakes.reply("orders.create_order", order_pb2.Order(order_id="ord_1"))
    fakes.reply("orders.get_order", order_pb2.Order(order_id="ord_1"))
    return fakes


@pytest.mark.parametrize("timeout", [float("inf"), 1e300, 10**12, 5])
async def test_a_long_timeout_is_one(connect: Any, orders: testing.Fakes, timeout: float) -> None:
    order = await connect(orders.address).call("orders.get_order", order_id="ord_1", timeout=timeout)
    assert order.order_id == "ord_1"


async def test_a_timeout_that_is_no_number_is_refused(connect: Any, orders: testing.Fakes) -> None:
    with pytest.raises(ValueError, match="timeout is not a number of seconds: nan"):
        await connect(orders.address).call("orders.get_order", order_id="ord_1", timeout=float("nan"))
    assert orders.calls("orders.get_order") == []


@pytest.mark.parametrize("timeout", [0, -1, float("-inf")])
async def test_a_timeout_that_is_over_sends_nothing(connect: Any, orders: testing.Fakes, timeout: float) -> None:
    with pytest.raises(errors.DeadlineExceeded) as raised:
        await connect(orders.address).call("orders.get_order", order_id="ord_1", timeout=timeout)
    assert (raised.value.attempts, orders.calls("orders.get_order")) == (0, [])


@pytest.mark.parametrize("key", ["", "with space", "schlüssel", "k\n", "k" * 256, "\x00"])
async def test_a_key_that_cannot_be_sent_is_refused(connect: Any, orders: testing.Fakes, key: str) -> None:
    call = connect(orders.address).call
    with pytest.raises(ValueError, match="idempotency_key must be 1 to 255 visible ASCII characters"):
        await call("orders.create_order", lines=LINES, payment_method="pm_sandbox_ok", idempotency_key=key)
    assert orders.calls("orders.create_order") == []


async def test_a_key_is_sent_as_it_was_given(connect: Any, orders: testing.Fakes) -> None:
    call = connect(orders.address).call
    await call("orders.create_order", lines=LINES, payment_method="pm_sandbox_ok", idempotency_key="0")
    assert [received.idempotency_key for received in orders.calls("orders.create_order")] == ["0"]


async def test_an_address_may_name_its_scheme(connect: Any, orders: testing.Fakes) -> None:
    order = await connect(f"http://{orders.address}/").call("orders.get_order", order_id="ord_1")
    assert order.order_id == "ord_1"


@pytest.mark.parametrize(
    ("address", "options", "said"),
    [
        ("http://localhost:8080", {}, r"speaks TLS; give tls=Plaintext\(\) for http://"),
        ("https://localhost:8443", {"tls": Plaintext()}, r"speaks plain text; give no tls=Plaintext\(\) for https://"),
        ("ftp://localhost:21", {}, "speaks TLS"),
    ],
)
def test_a_scheme_that_says_otherwise_is_refused(address: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        AsyncWeft(address, **options)


async def test_what_is_too_large_is_no_rate_limit_and_leaves_the_breaker_closed(
    connect: Any, fakes: testing.Fakes
) -> None:
    fakes.reply("orders.get_order", order_pb2.Order(note="x" * 17 * 1024 * 1024))
    client = connect(fakes.address, retries=Retries(first_pause_s=0.01))
    for _ in range(6):  # one more than opens a breaker
        with pytest.raises(errors.ResourceExhausted) as raised:
            await client.call("orders.get_order", order_id="ord_1")
        assert (type(raised.value), raised.value.attempts) == (errors.ResourceExhausted, 1)


ENVIRONMENT = ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy")


@pytest.mark.parametrize(
    ("environment", "used"),
    [
        ({}, ""),
        ({"http_proxy": "http://me:secret@proxy:3128"}, "proxy:3128"),
        ({"http_proxy": "http://a:1", "https_proxy": "http://b:2"}, "http://b:2"),
        ({"http_proxy": "http://a:1", "no_proxy": "localhost, .example"}, ""),
        ({"http_proxy": "http://a:1", "no_proxy": "other.example"}, "http://a:1"),
        ({"http_proxy": "http://a:1", "no_proxy": "localhost", "no_grpc_proxy": "other"}, "http://a:1"),
    ],
)
def test_the_proxy_is_the_one_that_grpc_takes(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], used: str
) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy("localhost:8443") == used


async def test_a_client_says_that_it_uses_a_proxy(
    connect: Any, fakes: testing.Fakes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://{fakes.address}")  # which is no proxy
    client = connect("weft.invalid:443", retries=Retries(attempts=1))
    with caplog.at_level(logging.WARNING, "weft_client.connection"), pytest.raises(errors.WeftError):
        await client.call("orders.get_order", order_id="ord_1", timeout=5)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"calls to edge go by the proxy http://{fakes.address} of the environment")
