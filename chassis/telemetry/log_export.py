"""Log lines over OTLP, beside those on standard output: the same lines, after redaction."""

from collections.abc import Mapping, Sequence
from time import time_ns
from typing import Any, NamedTuple

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from opentelemetry.sdk.resources import Resource
from prometheus_client import Counter

from chassis.telemetry.otlp import Sender, any_value

LOGS_LOST = Counter(
    "weft_logs_lost", "Log lines that did not reach the OTLP receiver; standard output has them all the same."
)
_SEVERITIES = {
    "debug": SeverityNumber.SEVERITY_NUMBER_DEBUG,
    "info": SeverityNumber.SEVERITY_NUMBER_INFO,
    "warning": SeverityNumber.SEVERITY_NUMBER_WARN,
    "error": SeverityNumber.SEVERITY_NUMBER_ERROR,
    "critical": SeverityNumber.SEVERITY_NUMBER_FATAL,
}
_OWN_FIELDS = frozenset(("event", "level", "timestamp", "service", "trace_id", "span_id", "trace_flags"))
"""Of a line, which a record has fields for, or its resource."""


class Line(NamedTuple):
    """A line and when it was written, in nanoseconds since the epoch."""

    at: int
    event: Mapping[str, Any]


class LogSender:
    """A processor of structlog that sends each line on."""

    def __init__(self, endpoint: str, resource: Resource) -> None:
        self._sender: Sender[Line] = Sender(endpoint, _stub, _request, resource, LOGS_LOST)

    def __call__(self, _: Any, __: str, event: Any) -> Any:
        """Queue a copy; never waits."""
        self._sender.add(Line(time_ns(), dict(event)))
        return event

    def stop(self) -> None:
        """Send what is left; takes at most 3 seconds."""
        self._sender.stop()


def encode(line: Line) -> LogRecord:
    """A line in OTLP's format."""
    event = line.event
    level = str(event.get("level", "info"))
    return LogRecord(
        time_unix_nano=line.at,
        observed_time_unix_nano=line.at,
        severity_number=_SEVERITIES.get(level, SeverityNumber.SEVERITY_NUMBER_UNSPECIFIED),
        severity_text=level.upper(),
        body=any_value(str(event.get("event", ""))),
        attributes=[
            KeyValue(key=key, value=any_value(value))
            for key, value in event.items()
            if key not in _OWN_FIELDS and not key.startswith("_")
        ],
        trace_id=bytes.fromhex(event.get("trace_id", "")),
        span_id=bytes.fromhex(event.get("span_id", "")),
        flags=int(event.get("trace_flags", "00"), 16),
    )


def _stub(channel: grpc.Channel) -> Any:
    return LogsServiceStub(channel).Export


def _request(resource: Sequence[KeyValue], lines: Sequence[Line]) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(resource)
    scope = group.scope_logs.add()
    scope.scope.name = "weft"
    scope.log_records.extend([encode(line) for line in lines])
    return request
