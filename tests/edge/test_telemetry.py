"""What the edge tells: its log, its metrics and its spans; and what it keeps to itself."""

import json
from collections.abc import Iterator
from concurrent import futures
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from services.chassis.contract import Contract
from tests.edge.conftest import Edge, deployed
from tests.edge.running import free_ports, running, stat, until

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def log_of(edge: Edge, request_id: str) -> dict[str, Any]:
    """The line of a request, once it is written."""
    found: list[dict[str, Any]] = []

    def written() -> bool:
        assert edge.deployment.access_log
        lines = map(json.loads, Path(edge.deployment.access_log).read_text().splitlines())
        found.extend(line for line in lines if line["request_id"] == request_id)
        return bool(found)

    until(written, "the line is written")
    return found[0]


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
        assert (line["path"], line["status"], line["grpc_status"]) == (
            "/weft.order.v1.OrderService/GetOrder",
            200,
            status,
        )


def test_health_traffic_leaves_no_line(edge: Edge) -> None:
    response = edge.call("GET", "/healthz")
    other = edge.call("GET", "/v1/orders/ord_1")
    log_of(edge, other.headers["x-request-id"])
    assert edge.deployment.access_log
    assert response.headers["x-request-id"] not in Path(edge.deployment.access_log).read_text()


def test_metrics_count_by_route_kind_of_client_and_plan(edge: Edge) -> None:
    edge.call("POST", "/v1/orders:quote", json={}, token=edge.mint(sub="usr_1", plan="standard"))
    labels = 'route="order.v1.OrderService.QuoteOrder",client="usr",plan="standard"'
    url = f"http://127.0.0.1:{edge.deployment.admin_port}/stats/prometheus"

    def counted() -> bool:
        text = httpx.get(url).text
        return (
            f'envoy_weft_edge_requests{{{labels},status="200",grpc_status="0"}} 1' in text
            and f"envoy_weft_edge_duration_count{{{labels}}} 1" in text
        )

    until(counted, "the call is counted")


class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the spans that come."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture(scope="module")
def traced(edge: Edge, contract: Contract, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Edge, Receiver]]:
    """An edge that exports its spans."""
    receiver = Receiver()
    server = grpc.server(futures.ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    http, admin, jwks = free_ports(3)
    addresses = {package.split(".")[1]: edge.upstream.address for package in contract.packages}
    folder = tmp_path_factory.mktemp("traced")
    deployment = replace(
        deployed(contract, folder, addresses, (http, admin, jwks), pages=edge.deployment.folder),
        otlp=f"127.0.0.1:{port}",
    )
    with running(contract, deployment):
        until(lambda: stat(deployment, "http.edge.jwt_authn.jwks_fetch_success"), "the keys are fetched")
        until(lambda: stat(deployment, "cluster.order.membership_healthy"), "order is healthy")
        yield Edge(f"http://127.0.0.1:{http}", deployment, edge.upstream, edge.mint), receiver
    server.stop(0).wait()


def test_a_span_joins_the_callers_trace_and_the_services(traced: tuple[Edge, Receiver]) -> None:
    edge, receiver = traced
    response = edge.call("GET", "/v1/orders/ord_1?", headers={"traceparent": PARENT})
    assert response.status_code == 200
    until(lambda: receiver.spans, "the span is exported")
    span = receiver.spans[-1]
    onward = edge.upstream.last[2]["traceparent"]
    assert span.trace_id.hex() == PARENT.split("-")[1] == onward.split("-")[1]
    assert span.parent_span_id.hex() == PARENT.split("-")[2]
    assert span.span_id.hex() == onward.split("-")[2]
    assert response.headers["traceresponse"] == onward
    assert span.name == "order.v1.OrderService.GetOrder"
    line = log_of(edge, response.headers["x-request-id"])
    assert line["trace_id"] == PARENT.split("-")[1]


def test_spans_hold_no_secret(traced: tuple[Edge, Receiver]) -> None:
    edge, receiver = traced
    before, token = len(receiver.spans), edge.mint()
    edge.call("GET", "/v1/orders?external_reference=s3cret", token=token)
    until(lambda: len(receiver.spans) > before, "the span is exported")
    text = str(receiver.spans[before:])
    urls = [
        tag.value.string_value for span in receiver.spans[before:] for tag in span.attributes if tag.key == "http.url"
    ]
    assert urls == ["/v1/orders"]
    assert "s3cret" not in text
    assert token not in text


def test_a_call_without_a_trace_begins_one(traced: tuple[Edge, Receiver]) -> None:
    edge, _ = traced
    edge.call("GET", "/v1/orders/ord_1")
    assert edge.upstream.last[2]["traceparent"].endswith("-01")
