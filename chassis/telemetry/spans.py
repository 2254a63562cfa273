"""An implementation of OpenTelemetry's tracing API: records spans and exports them over OTLP.

The SDK's span costs about 22 µs to record and 20 µs to encode, on calls that take some hundred: too much for a hot path
(docs/decisions/0009). What reads spans, the API and OTLP, is the same; so is everything built on the API.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from time import time_ns
from typing import Any, cast

import grpc
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util._decorator import _agnosticcontextmanager
from opentelemetry.util.types import Attributes, AttributeValue
from prometheus_client import Counter

from chassis.telemetry.otlp import Sender, key_value

SPANS_LOST = Counter("weft_spans_lost", "Spans that were dropped: the buffer was full, or the receiver did not answer.")

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_getrandbits = random.getrandbits


class RecordedSpan(Span):
    """One span. Its attributes are kept as they are given, and encoded when it is sent."""

    __slots__ = (
        "_context",
        "_sink",
        "attributes",
        "ended",
        "kind",
        "links",
        "message",
        "name",
        "parent_id",
        "started",
        "status",
    )

    def __init__(
        self,
        sink: "Sender[RecordedSpan]",
        name: str,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: Attributes,
        links: Sequence[trace.Link] | None = None,
    ) -> None:
        trace_id = parent.trace_id if parent else _getrandbits(128)
        self._context = SpanContext(trace_id, _getrandbits(64) or 1, False, _SAMPLED)
        self._sink = sink
        self.name = name
        self.parent_id = parent.span_id if parent else 0
        self.kind = kind
        self.attributes: Mapping[str, AttributeValue] = attributes or {}
        self.links = links or ()
        self.status = 0
        self.message = ""
        self.ended = 0
        self.started = time_ns()

    def get_span_context(self) -> SpanContext:
        """Trace id, span id and flags."""
        return self._context

    def is_recording(self) -> bool:
        """Until it has ended."""
        return not self.ended

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Add an attribute."""
        self.attributes = {**self.attributes, key: value}

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Add attributes."""
        self.attributes = {**self.attributes, **attributes}

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status."""
        code = status.status_code if isinstance(status, Status) else status
        self.status, self.message = code.value, description or ""

    def update_name(self, name: str) -> None:
        """Rename the span."""
        self.name = name

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Events are not kept: logs carry the trace id."""

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Records the type only: the message may have sensitive values."""
        self.set_attribute("exception.type", type(exception).__name__)

    def end(self, end_time: int | None = None) -> None:
        """End the span and queue it for export. Further calls have no effect."""
        if not self.ended:
            self.ended = end_time or time_ns()
            self._sink.add(self)


class SpanTracer(trace.Tracer):
    """Starts spans under the current one."""

    def __init__(self, sink: Sender[RecordedSpan]) -> None:
        self._sink = sink

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        """A span under that of `context`; under an unsampled span it is not recorded."""
        above = trace.get_current_span(context)
        parent = above.get_span_context()
        if not parent.is_valid:
            return RecordedSpan(self._sink, name, None, kind, attributes, links)
        if not parent.trace_flags & TraceFlags.SAMPLED:
            return trace.NonRecordingSpan(parent)
        return RecordedSpan(self._sink, name, parent, kind, attributes, links)

    @_agnosticcontextmanager
    def start_as_current_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[Span]:
        """The same as a context manager, current inside the block."""
        span = self.start_span(name, context, kind, attributes, links)
        with trace.use_span(span, end_on_exit, record_exception, set_status_on_exception):
            yield span


class SpanTracerProvider(trace.TracerProvider):
    """OpenTelemetry's provider of tracers."""

    def __init__(self, sender: Sender[RecordedSpan]) -> None:
        self._sender = sender

    def get_tracer(self, *args: Any, **options: Any) -> trace.Tracer:
        """A tracer; its arguments have no effect."""
        return SpanTracer(self._sender)

    def shutdown(self) -> None:
        """Export the remaining spans and stop."""
        self._sender.stop()


def sender(endpoint: str, resource: Resource) -> Sender[RecordedSpan]:
    """Exports spans to `endpoint`."""

    def stub(channel: grpc.Channel) -> Any:
        return TraceServiceStub(channel).Export

    return Sender(endpoint, stub, _request, resource, SPANS_LOST)


def _request(resource: Sequence[KeyValue], spans: Sequence[RecordedSpan]) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(resource)
    scope = group.scope_spans.add()
    scope.scope.name = "weft"
    scope.spans.extend([encode(span) for span in spans])
    return request


def encode(span: RecordedSpan) -> trace_pb2.Span:
    """A span in OTLP's format."""
    context = span.get_span_context()
    made = trace_pb2.Span(
        trace_id=context.trace_id.to_bytes(16),
        span_id=context.span_id.to_bytes(8),
        parent_span_id=span.parent_id.to_bytes(8) if span.parent_id else b"",
        name=span.name,
        kind=cast("Any", span.kind.value + 1),  # the API counts from INTERNAL = 0, OTLP from 1
        start_time_unix_nano=span.started,
        end_time_unix_nano=span.ended,
        attributes=[key_value(key, value) for key, value in span.attributes.items()],
    )
    for link in span.links:
        made.links.add(trace_id=link.context.trace_id.to_bytes(16), span_id=link.context.span_id.to_bytes(8))
    if span.status:
        made.status.code, made.status.message = cast("Any", span.status), span.message
    return made
