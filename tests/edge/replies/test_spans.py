"""The spans of the edge: where they go, whose trace they join, and what they do not hold."""

from collections.abc import Iterator
from concurrent import futures
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from contract import Contract
from deploy.local.state.certificates import Certificates
from tests.edge import protocols
from tests.edge.access_log import log_of
from tests.edge.conftest import Edge, deployed
from tests.edge.running import running, stat, until
from tests.servers import free_ports

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


ORDER = "ord_01k3z8m4x2f7w9q6t5r0v1b2c3"


class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the spans that come."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def of(self, edge: Edge, response: httpx.Response) -> Any:
        """The span of a call, once it has come."""
        trace = log_of(edge, response.headers["x-request-id"])["trace_id"]
        until(lambda: [span for span in self.spans if span.trace_id.hex() == trace], "the span is exported")
        return next(span for span in self.spans if span.trace_id.hex() == trace)

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
    http, metrics, jwks = free_ports(3)
    addresses = {package.split(".")[1]: edge.upstream.address for package in contract.packages}
    folder = tmp_path_factory.mktemp("traced")
    deployment = replace(
        deployed(contract, folder, addresses, (http, metrics, jwks), pages=edge.deployment.folder),
        otlp=f"127.0.0.1:{port}",
    )
    with running(contract, deployment):
        until(lambda: stat(deployment, "http.edge.jwt_authn.jwks_fetch_success"), "the keys are fetched")
        until(lambda: stat(deployment, "cluster.order.membership_healthy"), "order is healthy")
        yield Edge(f"http://127.0.0.1:{http}", deployment, edge.upstream, edge.mint), receiver
    server.stop(0).wait()


def test_spans_go_over_tls_to_a_receiver_that_asks_for_it(
    edge: Edge, contract: Contract, certificates: Certificates, tmp_path: Path
) -> None:
    receiver = Receiver()
    pair = (certificates.key("edge-server").read_bytes(), certificates.certificate("edge-server").read_bytes())
    server = grpc.server(futures.ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, server)
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    http, metrics, jwks = free_ports(3)
    addresses = {package.split(".")[1]: edge.upstream.address for package in contract.packages}
    deployment = replace(
        deployed(contract, tmp_path, addresses, (http, metrics, jwks), pages=edge.deployment.folder),
        otlp=f"https://127.0.0.1:{port}",
        otlp_ca=certificates.ca,
    )
    with running(contract, deployment):
        until(lambda: stat(deployment, "cluster.order.membership_healthy"), "order is healthy")
        traced = Edge(f"http://127.0.0.1:{http}", deployment, edge.upstream, edge.mint)
        span = receiver.of(traced, traced.call("GET", "/v1/products", token=None))
    assert span.name == "order.v1.ProductService.ListProducts"
    server.stop(0).wait()


def test_what_is_no_id_is_in_no_span(traced: tuple[Edge, Receiver]) -> None:
    edge, receiver = traced
    for path, url in (
        ("/v1/users/kim@example.org", "/v1/users/{user_id}"),
        ("/v1/kim@example.org", "unknown"),
        ("/kim@example.org/x", "unknown"),
        (f"/v1/orders/{ORDER}", f"/v1/orders/{ORDER}"),
    ):
        span = receiver.of(edge, edge.call("GET", path, headers={"x-client-trace-id": "kim"}))
        assert [tag.value.string_value for tag in span.attributes if tag.key == "http.url"] == [url]
        assert "kim" not in str(span)
    with pytest.raises(grpc.RpcError):
        protocols.native(edge.target, "/kim@example.org/x", b"", [])
    receiver.of(edge, edge.call("GET", "/v1/orders"))  # whose span comes behind that of the call before
    assert "kim" not in str(receiver.spans)


def test_a_span_joins_the_services_and_a_callers_trace_is_handed_on_apart(traced: tuple[Edge, Receiver]) -> None:
    edge, receiver = traced
    forged = {"traceparent": PARENT, "tracestate": "vendor=1", "x-weft-client-traceparent": "mine"}
    response = edge.call("GET", "/v1/orders/ord_1?", headers=forged)
    assert response.status_code == 200
    span, metadata = receiver.of(edge, response), edge.upstream.last[2]
    onward = metadata["traceparent"]
    assert span.trace_id.hex() == onward.split("-")[1] != PARENT.split("-")[1]
    assert (span.parent_span_id, span.span_id.hex()) == (b"", onward.split("-")[2])
    assert (metadata["x-weft-client-traceparent"], metadata.get("tracestate", "")) == (PARENT, "")
    assert response.headers["traceresponse"] == onward
    assert span.name == "order.v1.OrderService.GetOrder"
    line = log_of(edge, response.headers["x-request-id"])
    assert line["trace_id"] == onward.split("-")[1]


@pytest.mark.parametrize(
    "sent",
    ["", "x", PARENT.upper(), PARENT + "-01", PARENT.replace("00-", "ff-"), f"00-{'0' * 32}-b7ad6b7169203331-01",
     f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01", f"{PARENT},{PARENT}"],
)  # fmt: skip
def test_a_malformed_trace_is_dropped_and_the_call_is_traced(sent: str, traced: tuple[Edge, Receiver]) -> None:
    edge, _ = traced
    response = edge.call("GET", "/v1/orders/ord_1", headers={"traceparent": sent})
    metadata = edge.upstream.last[2]
    assert "x-weft-client-traceparent" not in metadata
    assert response.headers["traceresponse"] == metadata["traceparent"]
    assert metadata["traceparent"].endswith("-01")


def test_a_callers_trace_comes_to_the_services_from_an_edge_without_traces_too(edge: Edge) -> None:
    for call in (
        lambda: edge.call("GET", "/v1/orders/ord_1", headers={"traceparent": PARENT}),
        lambda: protocols.native(
            edge.target,
            "/weft.order.v1.OrderService/GetOrder",
            b"",
            [("traceparent", PARENT), ("authorization", f"Bearer {edge.mint()}")],
        ),
    ):
        call()
        metadata = edge.upstream.last[2]
        assert (metadata["x-weft-client-traceparent"], "traceparent" in metadata) == (PARENT, False)


def test_the_edge_samples_by_its_own_ratio(traced: tuple[Edge, Receiver], contract: Contract, tmp_path: Path) -> None:
    http, metrics, jwks = free_ports(3)
    deployment = replace(
        traced[0].deployment, folder=tmp_path, http_port=http, metrics_port=metrics, jwks_port=jwks, trace_ratio=0.0
    )
    with running(contract, deployment):
        until(lambda: stat(deployment, "cluster.order.membership_healthy"), "order is healthy")
        edge = replace(traced[0], url=f"http://127.0.0.1:{http}", deployment=deployment)
        response = edge.call(
            "GET", "/v1/products", token=None, headers={"traceparent": PARENT, "x-envoy-force-trace": "1"}
        )
        assert response.status_code == 200
        assert edge.upstream.last[2]["traceparent"].endswith("-00")


def test_spans_hold_no_secret(traced: tuple[Edge, Receiver]) -> None:
    edge, receiver = traced
    token = edge.mint()
    span = receiver.of(edge, edge.call("GET", "/v1/orders?external_reference=s3cret", token=token))
    urls = [tag.value.string_value for tag in span.attributes if tag.key == "http.url"]
    assert urls == ["/v1/orders"]
    assert "s3cret" not in str(span)
    assert token not in str(span)


def test_a_call_without_a_trace_begins_one(traced: tuple[Edge, Receiver]) -> None:
    edge, _ = traced
    edge.call("GET", "/v1/orders/ord_1")
    assert edge.upstream.last[2]["traceparent"].endswith("-01")
