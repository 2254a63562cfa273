"""HTTP as others speak it: methods, schemes, headers that come twice, and what every reply has."""

import socket

import grpc
import httpx
import pytest

from tests.edge import protocols
from tests.edge.conftest import Edge
from tests.edge.replies.reading import read_all

GET = "/weft.order.v1.OrderService/GetOrder"


def over(edge: Edge, version: int, method: str, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
    """A call with a token over HTTP/1.1 or HTTP/2."""
    token = {"authorization": f"Bearer {edge.mint()}"}
    return protocols.rest(edge.url, version, method, path, token | (headers or {}), {})


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_the_scheme_of_a_token_is_written_as_one_likes(scheme: str, edge: Edge) -> None:
    authorization = f"{scheme} {edge.mint()}"
    response = edge.call("GET", "/v1/orders/ord_1", token=None, headers={"authorization": authorization})
    assert response.status_code == 200, response.text
    assert edge.upstream.last[2]["authorization"].startswith("Bearer ey")
    protocols.native(edge.target, GET, b"", [("authorization", authorization)])
    assert edge.upstream.last[2]["authorization"].startswith("Bearer ey")


def test_another_scheme_is_no_token(edge: Edge) -> None:
    response = edge.call("GET", "/v1/orders/ord_1", token=None, headers={"authorization": f"Bearers {edge.mint()}"})
    protocols.assert_refusal(response, "TOKEN_MISSING")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("bytes_", ["0", "5000"])
def test_head_is_get_without_its_body(version: int, bytes_: str, edge: Edge) -> None:
    size = {"x-test-bytes": bytes_, "accept-encoding": "gzip"}
    asked = over(edge, version, "HEAD", "/v1/orders/ord_1", size)
    assert (asked.status_code, asked.content) == (200, b"")
    assert edge.upstream.last[0].name == "GetOrder"
    assert asked.headers["content-type"] == "application/json"
    assert int(asked.headers["content-length"]) > int(bytes_)
    assert asked.headers["x-request-id"]


@pytest.mark.parametrize("version", [1, 2])
def test_head_fails_as_get_does(version: int, edge: Edge) -> None:
    for path, status in (("/v1/nothing", 404), ("/v1/orders?x=1", 400), ("/v1/orders:quote", 405)):
        asked = over(edge, version, "HEAD", path)
        assert (asked.status_code, asked.content) == (status, b""), path
    failed = over(edge, version, "HEAD", "/v1/orders/ord_1", {"x-test-error": "NOT_FOUND"})
    assert (failed.status_code, failed.content) == (404, b"")


@pytest.mark.parametrize("version", [1, 2])
def test_head_of_a_stream_is_refused_with_the_methods_that_there_are(version: int, edge: Edge) -> None:
    before = len(edge.upstream.calls)
    refused = over(edge, version, "HEAD", "/v1/orders:watch")
    assert (refused.status_code, refused.headers["allow"], refused.content) == (405, "GET, OPTIONS", b"")
    assert edge.upstream.calls[before:] == []


def test_a_connection_goes_on_after_head(edge: Edge) -> None:
    with httpx.Client(base_url=edge.url, headers={"authorization": f"Bearer {edge.mint()}"}) as client:
        for _ in range(3):
            assert client.head("/v1/orders/ord_1").status_code == 200
            assert client.get("/v1/orders/ord_1").json()["lines"] == []


@pytest.mark.parametrize("version", [1, 2])
def test_options_says_which_methods_there_are(version: int, edge: Edge) -> None:
    for path, allow in (
        ("/v1/orders", "GET, HEAD, OPTIONS, POST"),
        ("/v1/orders/ord_1", "GET, HEAD, OPTIONS, PATCH"),
        ("/v1/orders:watch", "GET, OPTIONS"),
        ("/docs/", "GET, HEAD, OPTIONS"),
    ):
        asked = over(edge, version, "OPTIONS", path)
        assert (asked.status_code, asked.content, asked.headers["allow"]) == (204, b"", allow), path
        assert asked.headers["x-request-id"]
        assert "content-type" not in asked.headers
    assert over(edge, version, "OPTIONS", "/v1/nothing").status_code == 404


@pytest.mark.parametrize("name", ["authorization", "content-type", "idempotency-key"])
def test_a_header_that_comes_twice_is_refused_by_name(name: str, edge: Edge) -> None:
    values = {
        "authorization": f"Bearer {edge.mint()}",
        "content-type": "application/json",
        "idempotency-key": "5f0c2b1d",
    }
    lines = "".join(
        f"{header}: {value}\r\n" for header, value in {**values, "host": "x", "content-length": "2"}.items()
    )
    host, port = edge.target.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        request = f"POST /v1/orders HTTP/1.1\r\n{lines}{name}: {values[name]}\r\n\r\n{{}}"
        connection.sendall(request.encode())
        response = protocols.parsed(read_all(connection))
    protocols.assert_refusal(response, "HTTP_MALFORMED", violations={name: ""})


def test_a_header_that_comes_twice_is_refused_over_grpc_too(edge: Edge) -> None:
    twice = [("idempotency-key", "a"), ("idempotency-key", "b"), ("authorization", f"Bearer {edge.mint()}")]
    before = len(edge.upstream.calls)
    with pytest.raises(grpc.RpcError) as raised:
        protocols.native(edge.target, "/weft.order.v1.OrderService/CreateOrder", b"", twice)
    refusal = protocols.assert_refusal(raised.value, "HTTP_MALFORMED", violations={"idempotency-key": ""})
    assert refusal.message == "idempotency-key must be one line of visible ASCII."
    assert refusal.headers["x-request-id"]
    assert edge.upstream.calls[before:] == []


def test_a_key_that_is_not_ascii_is_refused_and_not_lost(edge: Edge) -> None:
    response = edge.call("POST", "/v1/orders", json={}, headers={"idempotency-key": b"\xd7\xf8"})
    protocols.assert_refusal(response, "HTTP_MALFORMED", violations={"idempotency-key": ""})


def test_a_header_that_is_not_ascii_does_not_reach_a_service(edge: Edge) -> None:
    assert edge.call("GET", "/v1/orders/ord_1", headers={"x-foo": b"\xd7\xf8\x9b"}).status_code == 200
    assert "x-foo" not in edge.upstream.last[2]


def test_streams_are_not_held_back_by_proxies(edge: Edge) -> None:
    with httpx.stream(
        "GET", f"{edge.url}/v1/orders:watch", headers={"authorization": f"Bearer {edge.mint()}"}
    ) as reply:
        assert reply.headers["x-accel-buffering"] == "no"
    assert "x-accel-buffering" not in edge.call("GET", "/v1/orders").headers


def test_a_caller_may_end_a_stream_early(edge: Edge) -> None:
    """The service ends it, because the edge forwards the caller's deadline; the edge itself could only cut."""
    token = f"Bearer {edge.mint()}"
    headers = {"authorization": token, "grpc-timeout": "2S", "x-test-hold": "20"}
    for version in (1, 2):
        with (
            httpx.Client(http1=version == 1, http2=version == 2, timeout=10) as client,
            client.stream("GET", f"{edge.url}/v1/orders:watch", headers=headers) as reply,
        ):
            reply.read()
        assert 0 < float(edge.upstream.last[2]["seconds left"]) < 2
    with grpc.insecure_channel(edge.target) as channel:
        stream = channel.unary_stream("/weft.order.v1.OrderService/WatchOrders", lambda data: data, lambda data: data)
        assert len(list(stream(b"", metadata=[("authorization", token), ("x-test-hold", "20")], timeout=2))) == 3


def test_the_id_of_a_request_is_on_every_reply(edge: Edge) -> None:
    for method, path in (
        *(("GET", path) for path in ("/v1/orders", "/v1/nothing", "/healthz", "/docs", "/docs/", "/openapi.json")),
        *(("GET", path) for path in ("/v1/orders/a%00b", "/v1/orders/a%2fb", "/v1/orders?x=1", "/v1/orders/%ff")),
        *(("OPTIONS", "/v1/orders"), ("HEAD", "/v1/orders"), ("DELETE", "/v1/orders"), ("POST", "/v1/auth:signOut")),
    ):
        for version in (1, 2):
            assert over(edge, version, method, path).headers.get_list("x-request-id"), (method, path)
    preflight = {"origin": "https://shop.example", "access-control-request-method": "GET"}
    assert over(edge, 1, "OPTIONS", "/v1/orders", preflight).headers["x-request-id"]


def test_violations_name_fields_as_the_caller_wrote_them(edge: Edge) -> None:
    wrong = {"x-test-violations": "lines[1].product_id,product.price.amount_minor,order_id"}
    camel = edge.call("POST", "/v1/orders", json={"lines": [{"productId": "p"}]}, headers=wrong)
    snake = edge.call("POST", "/v1/orders", json={"lines": [{"product_id": "p"}]}, headers=wrong)
    query = edge.call("GET", "/v1/orders?page_size=1", headers={"x-test-violations": "page_size"})
    placed = edge.call("GET", "/v1/orders/kim", headers=wrong)
    inner = edge.call("PATCH", "/v1/products/prd_1", json={"price": {"amountMinor": "1"}}, headers=wrong)
    named = [[*protocols.of_response(reply).violations] for reply in (camel, snake, query, placed, inner)]
    assert named == [
        ["lines[1].productId", "product.price.amountMinor", "orderId"],
        ["lines[1].product_id", "product.price.amount_minor", "order_id"],
        ["page_size"],
        ["lines[1].productId", "product.price.amountMinor", "order_id"],
        ["lines[1].productId", "price.amountMinor", "orderId"],
    ]
