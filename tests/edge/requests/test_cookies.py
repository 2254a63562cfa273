"""Cookies reach the calls that keep a refresh token in one, and no others."""

import httpx
import pytest
from weft.order.v1 import order_service_pb2
from weft.user.v1 import auth_service_pb2

from contract import Contract
from tests.edge.conftest import Edge

COOKIE = "__Secure-weft-refresh=wrt_1; Path=/v1/auth:refresh; HttpOnly; SameSite=Strict; Secure"
SENT = {"x-csrf": "1", "cookie": "__Secure-weft-refresh=wrt_1; other=2", "x-test-cookie": COOKIE}


def test_the_calls_that_have_a_cookie_are_those_of_sign_in(contract: Contract) -> None:
    assert sorted(method.name for method in contract.methods if method.cookie) == [
        "FinishPasskeySignIn",
        "Refresh",
        "SignIn",
        "SignOut",
    ]


def test_the_cookie_passes_with_refresh(edge: Edge) -> None:
    response = edge.call("POST", "/v1/auth:refresh", token=None, headers=SENT, json={})
    assert (response.status_code, response.headers["set-cookie"]) == (200, COOKIE)
    assert {name: edge.upstream.last[2].get(name) for name in ("cookie", "x-csrf")} == {
        name: SENT[name] for name in ("cookie", "x-csrf")
    }


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("GET", "/v1/products", None),
        ("GET", "/v1/orders/ord_01k00000000000000000000000", None),
        ("POST", "/v1/auth:resendVerification", {"email": "ada@example.com"}),
        ("GET", "/v1/users/me", None),
    ],
)
def test_nothing_else_gets_or_sets_one(edge: Edge, verb: str, path: str, body: object) -> None:
    before = len(edge.upstream.calls)
    response = edge.call(verb, path, headers=SENT, json=body)
    assert response.status_code < 300
    assert "set-cookie" not in response.headers
    assert len(edge.upstream.calls) == before + 1
    assert "cookie" not in edge.upstream.last[2]


def test_over_native_grpc_it_is_the_same(edge: Edge) -> None:
    for path, request, passes in [
        ("/weft.user.v1.AuthService/Refresh", auth_service_pb2.RefreshRequest(), True),
        ("/weft.order.v1.OrderService/GetOrder", order_service_pb2.GetOrderRequest(order_id="ord_1"), False),
    ]:
        headers = {**SENT, "content-type": "application/grpc", "te": "trailers"}
        headers["authorization"] = f"Bearer {edge.mint()}"
        data = request.SerializeToString()
        with httpx.Client(base_url=edge.url, http1=False, http2=True) as client:
            response = client.post(path, headers=headers, content=b"\0" + len(data).to_bytes(4) + data)
        assert ("set-cookie" in response.headers, "cookie" in edge.upstream.last[2]) == (passes, passes), path


def test_a_page_of_another_origin_cannot_send_the_header_that_the_cookie_needs(edge: Edge) -> None:
    asked = {
        "origin": "https://shop.example",  # which may call the API with a token
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-csrf",
    }
    response = edge.call("OPTIONS", "/v1/auth:refresh", token=None, headers=asked)
    assert "x-csrf" not in response.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in response.headers
