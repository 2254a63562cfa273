"""How long served calls take, by OpenTelemetry's conventions for RPC (semantic conventions 1.45), with exemplars that name a trace."""

import grpc
from opentelemetry.trace import Span
from prometheus_client import Histogram

DURATION = Histogram(
    "rpc_server_call_duration_seconds",
    "Time of a served RPC.",
    ["rpc_system_name", "rpc_method", "rpc_response_status_code", "error_type"],
    # The convention's, and two below: most reads take less than its first.
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10),
)
FAILURES = frozenset(
    (
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    )
)
"""Codes that are an error of the server, by the convention; others are the caller's."""
EXEMPLAR_INTERVAL_S = 1.0
"""Seconds between two exemplars of a method's outcome: one costs twice what counting the call does."""
SLOW_S = 0.25
"""Calls that take longer are exemplars, each."""


class Outcome:
    """Records the durations of a method's calls that end with one code, some with their trace as an exemplar."""

    __slots__ = ("_due", "_duration")

    def __init__(self, path: str, code: grpc.StatusCode) -> None:
        self._duration = DURATION.labels("grpc", path, code.name, code.name if code in FAILURES else "")
        self._due = 0.0

    def observe(self, begun: float, ended: float, span: Span | None) -> None:
        """One call; times in seconds. `span`: where its trace is recorded."""
        seconds, exemplar = ended - begun, None
        if span is not None and (ended > self._due or seconds > SLOW_S):
            self._due = ended + EXEMPLAR_INTERVAL_S
            context = span.get_span_context()
            exemplar = {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
        self._duration.observe(seconds, exemplar)


class Outcomes(dict[grpc.StatusCode, Outcome]):
    """Those of a method, made when they first occur: most codes of most methods never do, and each has its own series."""

    def __init__(self, path: str) -> None:
        """`path`: `weft.order.v1.OrderService/GetOrder`."""
        self._path = path
        self[grpc.StatusCode.OK]

    def __missing__(self, code: grpc.StatusCode) -> Outcome:
        found = self[code] = Outcome(self._path, code)
        return found
