"""Spans and metrics of calls, by opentelemetry-api alone: without an SDK in the process they cost next to nothing.

Attributes follow OpenTelemetry's conventions for RPC. No request, reply, token or key is ever recorded.
"""

from functools import lru_cache
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.trace import Span

from weft_client.failures import WeftError
from weft_client.method import Method

tracer = trace.get_tracer("weft_client")
_duration = metrics.get_meter("weft_client").create_histogram(
    "rpc.client.duration", unit="ms", description="Calls by method and code, retries included"
)


@lru_cache(maxsize=1024)
def attributes(method: Method[Any, Any]) -> dict[str, str]:
    """What every span of a method bears."""
    service, _, name = method.name.partition("/")
    return {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}


@lru_cache(maxsize=4096)
def _labels(method: Method[Any, Any], code: int) -> dict[str, str | int]:
    return {**attributes(method), "rpc.grpc.status_code": code}


def record(method: Method[Any, Any], code: int, seconds: float) -> None:
    """Count a call that is over."""
    _duration.record(seconds * 1000, _labels(method, code))


def inject(span: Span, metadata: list[tuple[str, str]]) -> None:
    """Hand the trace on in W3C form (traceparent, and tracestate where there is one)."""
    context = span.get_span_context()
    if not context.is_valid:
        return
    metadata.append(("traceparent", f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"))
    if context.trace_state:
        metadata.append(("tracestate", context.trace_state.to_header()))


def fail(span: Span, error: WeftError) -> None:
    """Say why, in the contract's words."""
    if error.reason:
        span.set_attribute("weft.reason", error.reason)
