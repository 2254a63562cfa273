"""A small trace receiver: `python -m deploy.local.components.trace_receiver SOCKET FOLDER` keeps recent traces in files.

The stock OTLP servicer over gRPC. Each line of `FOLDER/<trace id>.jsonl` is a span: `{span_id, parent_span_id, name,
service, kind, start, end, status, attributes, links}`, times in nanoseconds since the epoch. Files are appended to; of one
that was killed the last line may be cut.
"""

import json
import os
import signal
import sys
import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

MAX_TRACES = 2_000
"""Traces that are kept; the oldest are removed first."""
MAX_NEW_TRACES_PER_S = 50
"""Traces that may begin each second, on average; the rest is dropped whole, so that what is kept is complete."""
WRITE_INTERVAL_S = 0.5
"""Seconds between writes."""


class Store:
    """Recent traces in a folder. `takes` and `add` from any thread; `write` puts what came to the files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._waiting: dict[bytes, list[dict[str, Any]]] = {}
        files = sorted(folder.glob("*.jsonl"), key=lambda file: file.stat().st_mtime_ns)
        self._kept = OrderedDict.fromkeys(bytes.fromhex(file.stem) for file in files)
        self._dropped: OrderedDict[bytes, None] = OrderedDict()
        self._allowance = float(MAX_TRACES) / 2
        self._filled = time.monotonic()

    def takes(self, trace_id: bytes) -> bool:
        """Whether the spans of a trace are kept: all of them, or none."""
        with self._lock:
            if trace_id in self._kept:
                return True
            if trace_id in self._dropped:
                return False
            if self._admit():
                self._kept[trace_id] = None
                return True
            self._dropped[trace_id] = None
            if len(self._dropped) > 10 * MAX_TRACES:
                self._dropped.popitem(last=False)
            return False

    def add(self, trace_id: bytes, span: dict[str, Any]) -> None:
        """Take a span of a trace that is kept."""
        with self._lock:
            self._waiting.setdefault(trace_id, []).append(span)

    def write(self) -> None:
        """Append the spans that wait to their files, and remove the oldest files."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
            old = [self._kept.popitem(last=False)[0] for _ in range(len(self._kept) - MAX_TRACES)]
        for trace_id, spans in waiting.items():
            with self._file(trace_id).open("a") as file:
                file.write("".join(json.dumps(span) + "\n" for span in spans))
        for trace_id in old:
            self._file(trace_id).unlink(missing_ok=True)

    def _file(self, trace_id: bytes) -> Path:
        return self._folder / f"{trace_id.hex()}.jsonl"

    def _admit(self) -> bool:
        now = time.monotonic()
        self._allowance = min(float(MAX_TRACES) / 2, self._allowance + (now - self._filled) * MAX_NEW_TRACES_PER_S)
        self._filled = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True


class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    """The OTLP servicer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def Export(
        self, request: trace_service_pb2.ExportTraceServiceRequest, _: grpc.ServicerContext
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Take a batch of spans."""
        for resource in request.resource_spans:
            service = _attributes(resource.resource.attributes).get("service.name", "")
            for scope in resource.scope_spans:
                for span in scope.spans:
                    if self._store.takes(span.trace_id):
                        self._store.add(span.trace_id, _span(span, service))
        return trace_service_pb2.ExportTraceServiceResponse()


def _span(span: trace_pb2.Span, service: str) -> dict[str, Any]:
    return {
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex(),
        "name": span.name,
        "service": service,
        "kind": trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "status": trace_pb2.Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_").lower(),
        "attributes": _attributes(span.attributes),
        "links": [{"trace_id": link.trace_id.hex(), "span_id": link.span_id.hex()} for link in span.links],
    }


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: common_pb2.AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind in ("kvlist_value", "bytes_value", None):
        return str(getattr(value, kind)) if kind else ""
    return getattr(value, kind)


def serve(place: Path, folder: Path) -> None:
    """Take spans at a Unix socket, which only our own user may open, until SIGTERM; the last ones are written."""
    os.umask(0o077)
    folder.mkdir(exist_ok=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    store = Store(folder)
    options = [("grpc.max_receive_message_length", 16 << 20)]
    server = grpc.server(ThreadPoolExecutor(2), options=options)
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Receiver(store), server)
    place.unlink(missing_ok=True)  # of one that was killed
    server.add_insecure_port(f"unix:{place}")
    server.start()
    print(f"takes spans at {place}", flush=True)
    while not stop.wait(WRITE_INTERVAL_S):
        _write(store)
    server.stop(0.5).wait()
    _write(store)


def _write(store: Store) -> None:
    try:
        store.write()
    except OSError as error:
        print(f"traces could not be kept: {error.strerror}", flush=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
