"""Spans and metrics of calls, by opentelemetry-api alone: without an SDK in the process they cost next to nothing.

Names follow OpenTelemetry's conventions for RPC. No request, reply, token or key is ever recorded.
"""

from functools import lru_cache
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.trace import NonRecordingSpan, Span, SpanKind, StatusCode

from weft_client.calls.method import Method
from weft_client.failures import WeftError

_tracer = trace.get_tracer("weft_client")


def _durations(meter: metrics.Meter) -> metrics.Histogram:
    """Buckets in seconds, those of OpenTelemetry's conventions; an SDK's own default counts in milliseconds."""
    return meter.create_histogram(
        "rpc.client.call.duration",
        unit="s",
        description="Calls by method and code, retries included",
        explicit_bucket_boundaries_advisory=(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10),
    )


_duration = _durations(metrics.get_meter("weft_client"))


def begin(method: Method[Any, Any], metadata: list[tuple[str, str]]) -> Span:
    """A span for a call under the current one, handed on in `metadata` in W3C form.

    Under a trace that is not sampled the context is handed on as it is, and nothing else is done.
    """
    current = trace.get_current_span().get_span_context()
    if current.is_valid and not current.trace_flags & 1:
        span: Span = NonRecordingSpan(current)
    else:
        span = _tracer.start_span(method.name, kind=SpanKind.CLIENT, attributes=_attributes(method))
    context = span.get_span_context()
    if context.is_valid:
        metadata.append(("traceparent", f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"))
        if context.trace_state:
            metadata.append(("tracestate", context.trace_state.to_header()))
    return span


def end(
    span: Span, method: Method[Any, Any], code: str, attempts: int, seconds: float, error: WeftError | None
) -> None:
    """The call is over: count it and end its span."""
    _duration.record(seconds, _labels(method, code))
    if span.is_recording():
        span.set_attribute("rpc.response.status_code", code)
        if attempts != 1:
            span.set_attribute("weft.attempts", attempts)
        if error is not None and error.reason:
            span.set_attribute("weft.reason", error.reason)
        if code != "OK":
            span.set_status(StatusCode.ERROR)
        span.end()


def retried(span: Span, code: str, pause: float) -> None:
    """An attempt failed and another follows after `pause` seconds."""
    if span.is_recording():
        span.add_event("retry", {"rpc.response.status_code": code, "weft.pause": pause})


@lru_cache(maxsize=4096)
def _attributes(method: Method[Any, Any]) -> dict[str, str]:
    return {"rpc.system.name": "grpc", "rpc.method": method.name}


@lru_cache(maxsize=16384)
def _labels(method: Method[Any, Any], code: str) -> dict[str, str]:
    return {**_attributes(method), "rpc.response.status_code": code}
