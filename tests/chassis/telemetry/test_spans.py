"""Spans arrive at a stock OTLP receiver as OpenTelemetry means them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanKind, StatusCode

from chassis.telemetry import otlp, spans
from chassis.telemetry.otlp import Sender
from chassis.telemetry.spans import SpanTracer
from chassis.telemetry.tracing import Tracer, read_traceparent, write_traceparent
from tests.servers import wait_until


class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self) -> None:
        self.requests: list[Any] = []

    def Export(self, request: Any, context: Any) -> trace_service_pb2.ExportTraceServiceResponse:
        self.requests.append(request)
        return trace_service_pb2.ExportTraceServiceResponse()


@contextmanager
def receiving() -> Iterator[tuple[Receiver, Sender[Any]]]:
    """A receiver, and a sender to it."""
    receiver = Receiver()
    server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sender = spans.sender(f"http://127.0.0.1:{port}", Resource({"service.name": "test"}))
    yield receiver, sender
    sender.stop()
    server.stop(0)


def received(build: Any) -> dict[str, trace_pb2.Span]:
    """The spans by name that a receiver got from what `build` did with a tracer."""
    with receiving() as (receiver, sender):
        build(SpanTracer(sender))
    assert {r.resource_spans[0].resource.attributes[0].value.string_value for r in receiver.requests} == {"test"}
    return {span.name: span for r in receiver.requests for span in r.resource_spans[0].scope_spans[0].spans}


def test_a_tree_of_spans_keeps_its_shape_kinds_attributes_and_errors() -> None:
    def build(tracer: SpanTracer) -> None:
        with tracer.start_as_current_span("outer", kind=SpanKind.SERVER, attributes={"a": 1, "b": ["x"]}):
            inner = tracer.start_span("inner", kind=SpanKind.CLIENT)
            inner.set_status(StatusCode.ERROR, "broken")
            inner.end()
            inner.end()

    found = received(build)
    outer, inner = found["outer"], found["inner"]
    assert (inner.trace_id, inner.parent_span_id) == (outer.trace_id, outer.span_id)
    assert (outer.parent_span_id, outer.kind, inner.kind) == (
        b"",
        trace_pb2.Span.SPAN_KIND_SERVER,
        trace_pb2.Span.SPAN_KIND_CLIENT,
    )
    assert {a.key: a.value.WhichOneof("value") for a in outer.attributes} == {"a": "int_value", "b": "array_value"}
    assert (inner.status.code, inner.status.message) == (trace_pb2.Status.STATUS_CODE_ERROR, "broken")
    assert (
        outer.start_time_unix_nano <= inner.start_time_unix_nano <= inner.end_time_unix_nano <= outer.end_time_unix_nano
    )


def test_a_whole_batch_is_sent_before_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "SEND_INTERVAL_S", 60.0)
    with receiving() as (receiver, sender):
        for _ in range(otlp.MAX_BATCH + 1):
            SpanTracer(sender).start_span("one").end()
        wait_until(lambda: receiver.requests, "a batch")
    assert [len(r.resource_spans[0].scope_spans[0].spans) for r in receiver.requests] == [otlp.MAX_BATCH, 1]


def test_a_remote_parent_decides_whether_a_trace_is_kept() -> None:
    kept, dropped = f"00-{'a' * 32}-{'b' * 16}-01", f"00-{'c' * 32}-{'b' * 16}-00"

    def build(tracer: SpanTracer) -> None:
        facade = Tracer(tracer, 1.0)
        for parent in (kept, dropped):
            span = facade.start(parent[3], parent)
            assert write_traceparent(span)[:36] == parent[:36]
            with trace.use_span(span, end_on_exit=True):
                tracer.start_span(f"below {parent[3]}").end()

    assert set(received(build)) == {"a", "below a"}


def test_a_malformed_traceparent_begins_a_new_trace() -> None:
    for header in (
        "",
        "00-zz",
        f"00-{'0' * 32}-{'b' * 16}-01",
        f"ff-{'a' * 32}-{'b' * 16}-01",
        f"00-{'g' * 32}-{'b' * 16}-01",
    ):
        assert read_traceparent(header) is None
