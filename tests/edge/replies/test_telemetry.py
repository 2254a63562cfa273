"""What the edge logs and counts; and what it keeps to itself."""

import json
from pathlib import Path

import grpc
import httpx
import pytest

from tests.edge.access_log import log_of
from tests.edge.conftest import Edge
from tests.edge.running import admin, until


def test_a_call_leaves_one_line_without_secrets(edge: Edge) -> None:
    token = edge.mint(sub="cli_logged")
    response = edge.call("GET", "/v1/orders?external_reference=s3cret&page_token=hidden", token=token)
    line = log_of(edge, response.headers["x-request-id"])
    expected = {
        "method": "GET",
        "path": "/v1/orders",
        "route": "order.v1.OrderService.ListOrders",
        "status": 200,
        "grpc_status": "0",
        "client": "cli_logged",
        "plan": "premium",
        "address": "127.0.0.1",
        "protocol": "HTTP/1.1",
    }
    assert {name: line[name] for name in expected} == expected
    text = json.dumps(line)
    assert not [secret for secret in ("s3cret", "hidden", token, "Bearer") if secret in text]


ORDER = "ord_01k3z8m4x2f7w9q6t5r0v1b2c3"


@pytest.mark.parametrize(
    ("verb", "path", "shown", "route"),
    [
        ("GET", f"/v1/orders/{ORDER}", f"/v1/orders/{ORDER}", "order.v1.OrderService.GetOrder"),
        ("GET", "/v1/users/me", "/v1/users/me", "user.v1.UserService.GetUser"),
        ("GET", "/v1/users/kim@example.org", "/v1/users/{user_id}", "user.v1.UserService.GetUser"),
        ("GET", "/v1/users/%6bim%40example.org", "/v1/users/{user_id}", "user.v1.UserService.GetUser"),
        ("PUT", "/v1/users/kim@example.org", "/v1/users/{user_id}", "unknown"),
        ("GET", "/v1/users/kim@example.org?email=kim", "/v1/users/{user_id}", "unknown"),
        ("POST", f"/v1/orders/{ORDER}:cancel", f"/v1/orders/{ORDER}:cancel", "order.v1.OrderService.CancelOrder"),
        (
            "POST",
            "/v1/orders/kim@example.org:cancel",
            "/v1/orders/{order_id}:cancel",
            "order.v1.OrderService.CancelOrder",
        ),
        ("GET", "/v1/kim@example.org", None, "unknown"),
        ("GET", "/docs/kim@example.org", None, "unknown"),
        ("GET", "/v1/orders/kim@example.org%00", None, None),
        ("GET", "/v1/orders/kim@example.org%2f", None, None),
    ],
)
def test_what_is_no_id_is_in_no_log(verb: str, path: str, shown: str | None, route: str | None, edge: Edge) -> None:
    response = edge.call(verb, path)
    line = log_of(edge, response.headers["x-request-id"])
    assert (line["path"], line["route"]) == (shown, route)
    assert "example" not in json.dumps(line)
    assert "kim" not in json.dumps(line)


def test_a_refusal_says_in_the_log_why(edge: Edge) -> None:
    response = edge.call("GET", "/v1/orders", token=edge.mint(exp=1))
    line = log_of(edge, response.headers["x-request-id"])
    assert (line["status"], line["details"], line["client"]) == (401, "jwt_authn_access_denied{Jwt_is_expired}", None)


def test_an_error_leaves_its_grpc_status_over_rest_too(edge: Edge) -> None:
    failed = edge.call("GET", "/v1/orders/ord_1", headers={"x-test-error": "NOT_FOUND"})
    line = log_of(edge, failed.headers["x-request-id"])
    assert (line["status"], line["grpc_status"]) == (404, "5")
    refused = edge.call("GET", "/v1/nothing")
    line = log_of(edge, refused.headers["x-request-id"])
    assert (line["status"], line["grpc_status"], line["details"]) == (404, "5", "lua_response")


def test_a_native_call_leaves_its_grpc_status(edge: Edge) -> None:
    metadata = [("authorization", f"Bearer {edge.mint()}")]
    for headers, status in (([], "0"), ([("x-test-error", "NOT_FOUND")], "5")):
        with grpc.insecure_channel(edge.target) as channel:
            call = channel.unary_unary("/weft.order.v1.OrderService/GetOrder", lambda data: data, lambda data: data)
            outcome = call.future(b"", metadata=[*metadata, *headers], timeout=10)
            answered = dict([*outcome.initial_metadata(), *outcome.trailing_metadata()])
        line = log_of(edge, answered["x-request-id"])
        assert (line["route"], line["status"], line["grpc_status"]) == ("order.v1.OrderService.GetOrder", 200, status)


def test_health_traffic_leaves_no_line(edge: Edge) -> None:
    response = edge.call("GET", "/healthz")
    other = edge.call("GET", "/v1/orders/ord_1")
    log_of(edge, other.headers["x-request-id"])
    assert edge.deployment.access_log
    assert response.headers["x-request-id"] not in Path(edge.deployment.access_log).read_text()


def test_what_changes_the_edge_is_for_its_own_user_and_the_metrics_are_read_only(edge: Edge) -> None:
    url = f"http://127.0.0.1:{edge.deployment.metrics_port}"

    assert edge.deployment.admin_socket.stat().st_mode & 0o777 == 0o600
    assert [httpx.get(f"{url}{path}").status_code for path in ("/ready", "/stats/prometheus")] == [200, 200]
    for verb, path in (
        ("POST", "/quitquitquit"),
        ("POST", "/stats/prometheus"),
        ("POST", "/drain_listeners"),
        ("GET", "/config_dump"),
        ("GET", "/stats"),
        ("GET", "/"),
        ("GET", "/stats/prometheus/../../config_dump"),
    ):
        assert httpx.request(verb, url + path).status_code == 404, path
    # A web page whose name leads to this machine.
    assert httpx.get(f"{url}/stats/prometheus", headers={"host": "page.example"}).status_code == 404
    assert admin(edge.deployment, "GET", "/ready") == (200, "LIVE\n")


def test_metrics_count_by_route_kind_of_client_and_plan(edge: Edge) -> None:
    edge.call("POST", "/v1/orders:quote", json={}, token=edge.mint(sub="usr_1", plan="standard"))
    labels = 'route="order.v1.OrderService.QuoteOrder",client="usr",plan="standard"'
    url = f"http://127.0.0.1:{edge.deployment.metrics_port}/stats/prometheus"

    def counted() -> bool:
        text = httpx.get(url).text
        return (
            f'envoy_weft_edge_requests{{{labels},status="200",grpc_status="0"}} 1' in text
            and f"envoy_weft_edge_duration_count{{{labels}}} 1" in text
        )

    until(counted, "the call is counted")
