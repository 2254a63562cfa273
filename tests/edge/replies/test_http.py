"""Proper HTTP: success codes, empty bodies, compression, streams; on transcoded requests only."""

import grpc
import httpx

from tests.edge.conftest import Edge


def test_a_creation_answers_201_with_its_location(edge: Edge) -> None:
    response = edge.call("POST", "/v1/orders", json={})
    assert (response.status_code, response.headers["location"]) == (201, "/v1/things/1")


def test_accepted_work_answers_202(edge: Edge) -> None:
    assert edge.call("POST", "/v1/auth:signUp", json={}, token=None).status_code == 202


def test_a_204_has_no_body_and_keeps_its_connection_sound(edge: Edge) -> None:
    headers = {"authorization": f"Bearer {edge.mint()}"}
    with httpx.Client(base_url=edge.url, headers=headers) as client:
        for _ in range(5):
            empty = client.post("/v1/auth:signOut", json={})
            assert (empty.status_code, empty.content) == (204, b"")
            assert not {"content-type", "content-length", "transfer-encoding", "content-encoding"} & set(empty.headers)
            assert client.get("/v1/orders/ord_1").status_code == 200


def test_headers_of_grpc_stay_inside(edge: Edge) -> None:
    for path in ("/v1/orders/ord_1", "/v1/orders:watch", "/healthz"):
        response = edge.call("GET", path)
        inner = ("grpc-", "x-envoy-", "x-http-status")
        assert not [name for name in response.headers if name.startswith(inner)], response.headers
        assert response.headers["server"] == "weft"
        assert response.headers["x-request-id"]


def test_native_grpc_keeps_its_own_success(edge: Edge) -> None:
    """A `:status 201` would be UNKNOWN to a gRPC client."""
    with grpc.insecure_channel(edge.target) as channel:
        call = channel.unary_unary("/weft.order.v1.OrderService/CreateOrder", lambda data: data, lambda data: data)
        _, outcome = call.with_call(b"", metadata=[("authorization", f"Bearer {edge.mint()}")], timeout=10)
    assert outcome.code() is grpc.StatusCode.OK
    assert ("location", "/v1/things/1") in [tuple(pair) for pair in outcome.initial_metadata()]


def test_large_json_is_compressed_for_who_asks(edge: Edge) -> None:
    size = {"x-test-bytes": "5000"}
    packed = edge.call("GET", "/v1/orders/ord_1", headers={**size, "accept-encoding": "gzip"})
    plain = edge.call("GET", "/v1/orders/ord_1", headers={**size, "accept-encoding": "identity"})
    small = edge.call("GET", "/v1/orders/ord_1", headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in small.headers
    assert packed.json() == plain.json()


def test_a_stream_is_server_sent_events_as_they_come(edge: Edge) -> None:
    headers = {"authorization": f"Bearer {edge.mint()}", "accept": "text/event-stream", "accept-encoding": "gzip"}
    with httpx.stream("GET", f"{edge.url}/v1/orders:watch?cursor=c", headers=headers) as response:
        lines = [line for line in response.iter_lines() if line]
    assert response.headers["content-type"] == "text/event-stream"
    assert "content-encoding" not in response.headers
    assert lines == [f'data: {{"cursor":"c{number}"}}' for number in range(3)]


def test_primitive_fields_are_printed_though_they_are_zero(edge: Edge) -> None:
    body = edge.call("GET", "/v1/orders/ord_1").json()
    assert (body["orderId"], body["state"], body["lines"]) == ("", "ORDER_STATE_UNSPECIFIED", [])


def test_a_caller_may_shorten_the_deadline(edge: Edge) -> None:
    edge.call("GET", "/v1/orders/ord_1", headers={"grpc-timeout": "2S"})
    assert edge.upstream.last[0].name == "GetOrder"
