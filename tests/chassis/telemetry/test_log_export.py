"""Log lines arrive at a stock OTLP receiver; one that is away costs nothing but the lines."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import structlog
from opentelemetry import trace
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from chassis.telemetry import logs, otlp, resource
from chassis.telemetry.log_export import LOGS_LOST, LogSender

SPAN = NonRecordingSpan(SpanContext(0xABC, 0xDEF, False, TraceFlags(1)))


class Receiver(logs_service_pb2_grpc.LogsServiceServicer):
    def __init__(self) -> None:
        self.requests: list[Any] = []

    def Export(self, request: Any, context: Any) -> logs_service_pb2.ExportLogsServiceResponse:
        self.requests.append(request)
        return logs_service_pb2.ExportLogsServiceResponse()


def logger(sender: LogSender) -> Any:
    """A logger whose lines go to `sender` only, made as those of a service are."""
    processors: list[Any] = [structlog.processors.add_log_level, logs.add_call, logs.redact, sender]
    return structlog.wrap_logger(structlog.ReturnLogger(), processors=[*processors, lambda *_: ""])


def test_a_line_keeps_its_text_level_span_and_values_and_none_of_its_secrets() -> None:
    receiver = Receiver()
    server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(receiver, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sender = LogSender(f"http://127.0.0.1:{port}", resource.describe("order", "1.2", "staging"))
    log = logger(sender)
    with trace.use_span(SPAN):
        log.warning("job_failed", count=3, ids=["a", "b"], cause=ValueError("x"), password="hunter2")
    log.info("job_done", name="caf\udce9")  # no UTF-8: it takes no other line of its batch with it
    sender.stop()
    server.stop(0)

    (request,) = receiver.requests
    (group,) = request.resource_logs
    about = {pair.key: pair.value.string_value for pair in group.resource.attributes}
    assert {"service.name", "service.namespace", "service.version", "service.instance.id"} <= about.keys()
    assert (about["service.version"], about["deployment.environment.name"]) == ("1.2", "staging")
    line, second = group.scope_logs[0].log_records
    assert [(pair.key, pair.value.string_value) for pair in second.attributes] == [("name", "caf?")]
    assert isinstance(line, LogRecord)
    assert (line.body.string_value, line.severity_text) == ("job_failed", "WARNING")
    assert line.severity_number == SeverityNumber.SEVERITY_NUMBER_WARN
    assert (line.trace_id.hex(), line.span_id.hex(), line.flags) == (f"{0xABC:032x}", f"{0xDEF:016x}", 1)
    values = {pair.key: pair.value for pair in line.attributes}
    assert values.keys() == {"count", "ids", "cause", "password"}
    assert (values["count"].int_value, values["password"].string_value) == (3, "[hidden]")
    assert [value.string_value for value in values["ids"].array_value.values] == ["a", "b"]


def test_a_receiver_that_is_away_makes_nobody_wait_and_is_not_logged_about() -> None:
    before = LOGS_LOST._value.get()
    sender = LogSender("http://127.0.0.1:1", resource.describe("order", "", "staging"))
    log = logger(sender)
    begun = time.process_time()
    for number in range(otlp.MAX_BUFFERED + 500):
        log.info("line", number=number)
    assert time.process_time() - begun < 2  # a thread that waited, or a line about each line, would take minutes
    sender.stop()
    assert LOGS_LOST._value.get() - before == otlp.MAX_BUFFERED + 500
