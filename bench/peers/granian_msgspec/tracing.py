"""Two spans a request, the server's and the statement's, of the stock SDK without its instrumentation."""

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()


class Tracing:
    """Starts the spans."""

    def __init__(self) -> None:
        self._tracer = trace.get_tracer("peer-c")

    def request(self, method: str, route: str, traceparent: str | None) -> Span:
        """The span of a request."""
        parent = _PROPAGATOR.extract({"traceparent": traceparent}) if traceparent else Context()
        return self._tracer.start_span(
            f"{method} {route}",
            parent,
            SpanKind.SERVER,
            {"http.request.method": method, "http.route": route, "url.scheme": "http"},
        )

    def call(self, name: str, within: Span, attributes: dict[str, str]) -> Span:
        """The span of a statement or of a call."""
        return self._tracer.start_span(name, trace.set_span_in_context(within, Context()), SpanKind.CLIENT, attributes)


def traceparent(span: Span) -> str:
    """The span as W3C's header; empty where nothing is traced."""
    context = span.get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
