"""Structured logs: one JSON object a line, with its span and request id, and with sensitive values redacted."""

import logging
import sys
from typing import Any, TextIO

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor, WrappedLogger
from weft_client import context as handed_on

_HIDDEN = ("password", "secret", "token", "authorization", "code_value", "email", "display_name", "address", "cookie")


def configure(service: str, level: str, out: TextIO, send: Processor | None = None) -> None:
    """Set up logging of the process and its libraries to `out`. `send` is a processor that also gets each line."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_call,
        redact,
        structlog.processors.format_exc_info,
    ]
    last: list[Processor] = [*([send] if send else []), structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[_service(service), *shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )
    sys.excepthook = uncaught
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
            foreign_pre_chain=[_service(service), *shared],
        )
    )
    logging.basicConfig(
        handlers=[handler], level=max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]), force=True
    )


def uncaught(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
    """`sys.excepthook`: logs the exception that ends the process."""
    logger("process").critical("process_failed", exc_info=(kind, error, traceback))


def is_not_client_input(record: logging.LogRecord) -> bool:
    """A filter of gRPC's logs: headers that are not text are the client's fault, and must not be logged."""
    return not str(record.msg).startswith("Invalid encoding on")


logging.getLogger("grpc._cython.cygrpc").addFilter(is_not_client_input)


def logger(name: str) -> Any:
    """A logger; call it as `log.info("event", key=value)`."""
    return structlog.get_logger(part=name)


def _service(service: str) -> Any:
    def add(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return add


def add_call(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Add the ids and flags of the current span, named as W3C and OpenTelemetry do, and the request id."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = f"{context.trace_id:032x}"
        event["span_id"] = f"{context.span_id:016x}"
        event["trace_flags"] = f"{context.trace_flags:02x}"
    request_id = handed_on.request_id.get()
    if request_id:
        event.setdefault("request_id", request_id)
    return event


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Hide values whose key says that they are sensitive."""
    for key in event:
        if any(hidden in key.lower() for hidden in _HIDDEN):
            event[key] = "[hidden]"
    return event
