"""What is reached from outside, and what is not: every RPC of the contract, over REST and over native gRPC."""

import re

import grpc
import pytest

import contract as contracts
from contract import Method
from tests.edge import protocols
from tests.edge.conftest import Edge

METHODS = contracts.load().methods
OUTSIDE = [method for method in METHODS if not method.internal]
INSIDE = [method for method in METHODS if method.internal]


def arguments(method: Method) -> tuple[str, str, dict[str, object]]:
    """Verb, path and body of a method with every variable filled in."""
    assert method.route
    path = re.sub(r"{[^}]+}", "x_1", method.route.path)
    if not method.route.body:
        return method.route.verb, path, {}
    if method.input in ("weft.user.v1.TokenRequest", "weft.user.v1.RevokeRequest"):
        return method.route.verb, path, {"data": {"a": "b"}}
    return method.route.verb, path, {"json": {}}


@pytest.mark.parametrize("method", OUTSIDE, ids=lambda method: method.full_name)
def test_every_route_leads_to_its_own_rpc(method: Method, edge: Edge) -> None:
    verb, path, body = arguments(method)
    response = edge.call(verb, path, **body)
    assert response.status_code == method.success, response.text
    if method.name != "GetJwks":
        assert edge.upstream.last[0].full_name == method.full_name


@pytest.mark.parametrize("method", OUTSIDE, ids=lambda method: method.full_name)
def test_every_rpc_is_reached_over_native_grpc(method: Method, edge: Edge) -> None:
    if method.server_streaming:
        with grpc.insecure_channel(edge.target) as channel:
            stream = channel.unary_stream(method.path, lambda data: data, lambda data: data)
            replies = list(stream(b"", metadata=[("authorization", f"Bearer {edge.mint()}")], timeout=10))
        assert len(replies) == 3
    else:
        protocols.native(edge.target, method.path, b"", [("authorization", f"Bearer {edge.mint()}")])


@pytest.mark.parametrize("method", [m for m in OUTSIDE if not m.public], ids=lambda method: method.full_name)
def test_no_protected_rpc_answers_without_a_token(method: Method, edge: Edge) -> None:
    verb, path, body = arguments(method)
    before = len(edge.upstream.calls)
    response = edge.call(verb, path, token=None, **body)
    if path.startswith("/oauth2/"):  # RFC 6750, 3.1: without credentials there is no more than the challenge
        assert (response.status_code, response.json()["error"]) == (401, "invalid_request")
        assert response.headers["www-authenticate"].startswith("Bearer")
    else:
        protocols.assert_refusal(response, "TOKEN_MISSING")
    with pytest.raises(grpc.RpcError) as raised:
        protocols.native(edge.target, method.path, b"", [])
    protocols.assert_refusal(raised.value, "TOKEN_MISSING")
    assert edge.upstream.calls[before:] == []


@pytest.mark.parametrize("method", INSIDE, ids=lambda method: method.full_name)
def test_an_internal_rpc_is_out_of_reach(method: Method, edge: Edge) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        protocols.native(edge.target, method.path, b"", [("authorization", f"Bearer {edge.mint()}")])
    protocols.assert_refusal(raised.value, "ROUTE_NOT_FOUND")
    for path in (method.path, f"/v1{method.path}", f"/oauth2/{method.name.lower()}"):
        for verb in ("GET", "POST"):
            assert edge.call(verb, path).status_code == 404


@pytest.mark.parametrize("kind", ["application/grpc-web", "application/grpc-web+proto", "application/grpcfoo"])
def test_what_only_looks_like_grpc_reaches_no_rpc(kind: str, edge: Edge) -> None:
    response = edge.call(
        "POST", "/weft.order.v1.OrderService/GetOrder", content=b"\0\0\0\0\0", headers={"content-type": kind}
    )
    protocols.assert_refusal(response, "ROUTE_NOT_FOUND")


def test_a_get_is_never_a_call(edge: Edge) -> None:
    response = edge.call("GET", "/weft.order.v1.OrderService/GetOrder", headers={"content-type": "application/grpc"})
    assert response.headers["grpc-status"] == "5"


def test_headers_that_the_edge_speaks_in_are_not_taken_from_outside(edge: Edge) -> None:
    forged = {
        "x-weft-nowhere": "order",
        "x-weft-plan": "premium",
        "x-envoy-original-path": "/oauth2/token",
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-forwarded-for": "9.9.9.9",
        "x-request-id": "mine",
    }
    edge.call("GET", "/v1/orders/ord_1", headers=forged)
    metadata = edge.upstream.last[2]
    assert metadata["x-envoy-original-path"] == "/v1/orders/ord_1"
    assert metadata["x-request-id"] != "mine"
    assert not [name for name in metadata if name.startswith("x-weft-")]
    assert "x-envoy-internal" not in metadata
    assert edge.call("GET", "/v1/nothing", headers=forged).status_code == 404


def test_the_edge_answers_for_its_own_health_and_pages(edge: Edge) -> None:
    health = edge.call("GET", "/healthz", token=None)
    document = edge.call("GET", "/openapi.json", token=None)
    page = edge.call("GET", "/docs", token=None, follow_redirects=True)
    assert (health.status_code, document.json(), page.text) == (200, {"openapi": "3.1.0"}, "<h1>docs</h1>")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src" not in page.headers["content-security-policy"]
    assert edge.call("GET", "/docs/../openapi.json", token=None).status_code == 200
    assert edge.call("GET", "/docs/nothing.js", token=None).status_code == 404
