"""Traces and metrics of a process: OTLP when an address is set, Prometheus on a port of its own.

The W3C context (https://www.w3.org/TR/trace-context/) is read and written here by hand: for a call that is not sampled,
nothing else of OpenTelemetry runs.
"""

import asyncio
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import metrics, trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue
from prometheus_client import Counter, Gauge, Histogram

from chassis.telemetry import probes, spans
from chassis.telemetry.spans import SpanTracerProvider

IN_FLIGHT = Gauge("weft_rpc_server_in_flight", "RPCs in flight.")
LOOP_LAG = Histogram(
    "weft_event_loop_lag_seconds",
    "Delay of the event loop's timers: the loop was busy, or the process had no core.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
LOOP_LAG_INTERVAL_S = 0.25
"""Seconds between two measurements."""
POOL_SIZE = Gauge("weft_database_pool_connections", "Connections of the database pool.", ["state"])
POOL_WAITING = Gauge("weft_database_pool_waiting", "Calls waiting for a connection.")
QUEUE_JOBS = Counter("weft_queue_jobs", "Jobs by outcome.", ["queue", "outcome"])
QUEUE_DEPTH = Gauge("weft_queue_ready", "Jobs ready, when last counted.", ["queue"])
QUEUE_LAG = Gauge("weft_queue_oldest_seconds", "Age of the oldest due job, when last counted.", ["queue"])

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_UNSAMPLED = TraceFlags(TraceFlags.DEFAULT)
_TRACEPARENT = re.compile(r"((?!ff)[0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.{0,200})?")
"""Version, trace id, span id, flags; what later versions may append."""


class Tracer:
    """Starts spans that continue a W3C context. Without an OTLP address every span is a no-op that propagates its context."""

    def __init__(self, tracer: trace.Tracer | None, ratio: float) -> None:
        self._tracer = tracer
        self._ratio = ratio if tracer else 0.0

    def start(
        self,
        name: str,
        parent: str = "",
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, AttributeValue] | None = None,
        link: str = "",
    ) -> Span:
        """A span under `parent` (a `traceparent`), or a root span, which is sampled by the ratio.

        `link`: the `traceparent` of an external caller, whose trace is linked and never continued.
        """
        remote = read_traceparent(parent)
        if remote is None:
            sampled = random.random() < self._ratio  # noqa: S311
            if not sampled or self._tracer is None:
                return NonRecordingSpan(
                    SpanContext(random.getrandbits(128) or 1, random.getrandbits(64) or 1, False, _UNSAMPLED)
                )
            return self._tracer.start_span(name, Context(), kind, attributes, _links(link))
        if self._tracer is None or not remote.trace_flags & TraceFlags.SAMPLED:
            return NonRecordingSpan(remote)
        return self._tracer.start_span(
            name, trace.set_span_in_context(NonRecordingSpan(remote), Context()), kind, attributes, _links(link)
        )

    @contextmanager
    def span(
        self,
        name: str,
        parent: str | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, AttributeValue] | None = None,
    ) -> Iterator[Span]:
        """A span around a block: under `parent` (a `traceparent`), or under the current span. Errors are recorded and raised."""
        if parent is None:
            current = trace.get_current_span()
            if not current.is_recording() or self._tracer is None:
                yield current
                return
            span = self._tracer.start_span(name, None, kind, attributes)
        else:
            span = self.start(name, parent, kind, attributes)
        token = attach(trace.set_span_in_context(span))
        try:
            yield span
        except BaseException as error:
            span.set_status(StatusCode.ERROR, type(error).__name__)
            raise
        finally:
            span.end()
            detach(token)


def _links(header: str) -> Sequence[Link]:
    context = read_traceparent(header) if header else None
    return () if context is None else (Link(context),)


def read_traceparent(header: str) -> SpanContext | None:
    """The context of a `traceparent` header; None where it is absent or malformed (W3C: then begin a new trace)."""
    match = _TRACEPARENT.fullmatch(header)
    if match is None or (match[1] == "00" and match[5]):
        return None
    trace_id, span_id, flags = int(match[2], 16), int(match[3], 16), int(match[4], 16)
    if not trace_id or not span_id:
        return None
    return SpanContext(trace_id, span_id, True, _SAMPLED if flags & 1 else _UNSAMPLED)


def write_traceparent(span: Span) -> str:
    """A span's context as a `traceparent` header; empty where it has none."""
    context = span.get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def current_traceparent() -> str:
    """The context of the span that is current here."""
    return write_traceparent(trace.get_current_span())


def start(resource: Resource, otlp_endpoint: str, ratio: float, metrics_listen: str) -> Tracer:
    """Set up the process's providers and its plaintext port (`host:port`; none where empty). Once in a process."""
    metrics.set_meter_provider(MeterProvider([PrometheusMetricReader()], resource))
    if metrics_listen:
        probes.serve(metrics_listen)
    if not otlp_endpoint:
        return Tracer(None, 0.0)
    provider = SpanTracerProvider(spans.sender(otlp_endpoint, resource))
    trace.set_tracer_provider(provider)
    return Tracer(provider.get_tracer("weft"), ratio)


async def measure_loop() -> None:
    """Measure the event loop's lag, until cancelled."""
    clock = asyncio.get_running_loop().time
    while True:
        due = clock() + LOOP_LAG_INTERVAL_S
        await asyncio.sleep(LOOP_LAG_INTERVAL_S)
        LOOP_LAG.observe(max(0.0, clock() - due))
        probes.PROCESS.turned()


def stop() -> None:
    """Send the remaining spans; takes at most a few seconds."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, SpanTracerProvider):
        provider.shutdown()
