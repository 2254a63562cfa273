"""What the edge reports: a log without secrets, spans that join the services', metrics by route and kind of client."""

import json
from typing import Any

from codegen.envoy import clusters
from codegen.envoy.deployment import Deployment
from codegen.envoy.tokens import CLAIMS, NAMESPACE
from codegen.envoy.typed import Json, extension, typed

_CLAIM = f"%DYNAMIC_METADATA({NAMESPACE}:{CLAIMS}:%s)%"
CLIENT = _CLAIM.replace("%s", "sub")
PLAN = _CLAIM.replace("%s", "plan")
KIND = f"{CLIENT[:-1]}:3%"
"""The first three letters of the subject: `usr`, `cli`, or `-` where there was no token."""

_PLACES = [
    {"command": "TRAILER", "param": "grpc-status"},
    {"command": "RESP", "param": "grpc-status"},
    {"command": "DYNAMIC_METADATA", "param": "weft:grpc_status"},  # where strict/replies.lua keeps the code of an error
]
GRPC_STATUS = f"%COALESCE({json.dumps({'operators': _PLACES})})%"
"""The gRPC status, as a number, over REST too; Envoy's own operator guesses one from HTTP's."""

_IDS = [{"command": "REQ", "param": "x-request-id"}, {"command": "RESP", "param": "x-request-id"}]
PATH = "%DYNAMIC_METADATA(weft:path)%"
"""As the contract writes it, with ids where they have an id's form (strict/paths.lua): the rest may be anyone's address."""
_URLS = [{"command": "DYNAMIC_METADATA", "param": "weft:path"}, {"command": "ROUTE_NAME"}]
URL = f"%COALESCE({json.dumps({'operators': _URLS})})%"
"""Replaces Envoy's own tags, which have the requested URL; an empty value would bring them back."""

LINE = {
    "time": "%START_TIME%",
    "method": "%REQ(X-ENVOY-ORIGINAL-METHOD?:METHOD)%",
    "path": PATH,
    "route": "%ROUTE_NAME%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "grpc_status": GRPC_STATUS,
    "details": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "duration_ms": "%DURATION%",
    "upstream_ms": "%RESPONSE_DURATION%",
    "bytes_in": "%BYTES_RECEIVED%",
    "bytes_out": "%BYTES_SENT%",
    "address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "upstream": "%UPSTREAM_HOST%",
    "request_id": f"%COALESCE({json.dumps({'operators': _IDS})})%",
    "trace_id": "%TRACE_ID%",
    "client": CLIENT,
    "plan": PLAN,
}


RUNTIME: Json = {
    # Spans go in a call of their own for every 5 by default, which costs the edge and the receiver as much as the spans.
    "tracing.opentelemetry.min_flush_spans": 256,
    "tracing.opentelemetry.flush_interval_ms": 1000,
}
"""How spans are sent: so many together, or what there is each second."""


def access_logs(deployment: Deployment) -> list[Json]:
    """The log of calls as JSON lines, and the metrics that are counted at the same moment."""
    formatted = {"json_format": LINE}
    not_health: Json = {"not_health_check_filter": {}}
    if deployment.access_log:
        written = extension(
            "envoy.access_loggers.file",
            "extensions.access_loggers.file.v3.FileAccessLog",
            path=str(deployment.access_log),
            log_format=formatted,
        )
    else:
        written = extension(
            "envoy.access_loggers.stdout",
            "extensions.access_loggers.stream.v3.StdoutAccessLog",
            log_format=formatted,
        )
    return [{**written, "filter": not_health}, {**_counted(), "filter": not_health}]


def tracing(deployment: Deployment) -> Json | None:
    """One span for each call, over OTLP, sampled by the edge's own ratio; W3C trace context goes on to the services."""
    if not deployment.otlp:
        return None
    provider = extension(
        "envoy.tracers.opentelemetry",
        "config.trace.v3.OpenTelemetryConfig",
        service_name="edge",
        grpc_service={"envoy_grpc": {"cluster_name": clusters.OTLP}, "timeout": "1s"},
    )
    return {
        "provider": provider,
        "random_sampling": {"value": deployment.trace_ratio * 100},
        "overall_sampling": {"value": 100},
        "operation": "%ROUTE_NAME%",
        "custom_tags": [
            {"tag": "rpc.system", "literal": {"value": "grpc"}},
            {"tag": "http.url", "value": URL},
            {"tag": "grpc.path", "value": "%ROUTE_NAME%"},
            {"tag": "weft.client", "value": CLIENT},
        ],
    }


def _counted() -> Json:
    tags = [
        {"name": "route", "value_format": "%ROUTE_NAME%"},
        {"name": "client", "value_format": KIND},
        {"name": "plan", "value_format": PLAN},
    ]
    status: dict[str, Any] = {"name": "status", "value_format": "%RESPONSE_CODE%"}
    grpc = {"name": "grpc_status", "value_format": GRPC_STATUS}
    return {
        "name": "envoy.access_loggers.stats",
        "typed_config": typed(
            "extensions.access_loggers.stats.v3.Config",
            stats_scope={"prefix": "weft_edge"},
            counters=[{"stat": {"name": "requests", "tags": [*tags, status, grpc]}, "value_fixed": 1}],
            histograms=[
                {"stat": {"name": "duration", "tags": tags}, "unit": "Milliseconds", "value_format": "%DURATION%"},
            ],
        ),
    }
