"""Spans of many calls become one file for each trace, of which the newest are kept."""

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from deploy.local.components import trace_receiver
from deploy.local.components.trace_receiver import Store
from deploy.local.demo import trace_tree
from deploy.local.supervisor.process import Process
from deploy.local.supervisor.readiness import listens
from tests.deploy.conftest import python_part
from tests.servers import until

TRACE = bytes(range(16))


def pair(key: str, **value) -> common_pb2.KeyValue:
    return common_pb2.KeyValue(key=key, value=common_pb2.AnyValue(**value))


def batch(service: str, number: int, parent: int = 0) -> trace_service_pb2.ExportTraceServiceRequest:
    span = trace_pb2.Span(
        trace_id=TRACE,
        span_id=number.to_bytes(8),
        parent_span_id=parent.to_bytes(8) if parent else b"",
        name=f"call {number}",
        kind=trace_pb2.Span.SPAN_KIND_SERVER,
        start_time_unix_nano=number * 1_000_000,
        end_time_unix_nano=number * 1_000_000 + 500_000,
        attributes=[pair("rpc.method", string_value="Get"), pair("size", int_value=3)],
    )
    resource = resource_pb2.Resource(attributes=[pair("service.name", string_value=service)])
    return trace_service_pb2.ExportTraceServiceRequest(
        resource_spans=[trace_pb2.ResourceSpans(resource=resource, scope_spans=[trace_pb2.ScopeSpans(spans=[span])])]
    )


async def test_spans_of_several_parts_make_one_tree(home, journal):
    place = home.sockets / "traces.sock"
    place.write_text("")  # what one that was killed has left
    code = (
        "from pathlib import Path\nfrom deploy.local.components.trace_receiver import serve\n"
        f"serve(Path({str(place)!r}), Path({str(home.traces)!r}))"
    )
    receiver = Process(python_part(code), journal.log("traces"))
    await until(lambda: listens(place)(receiver.pid), "the trace receiver")
    assert place.stat().st_mode & 0o077 == 0
    async with grpc.aio.insecure_channel(f"unix:{place}") as channel:
        stub = trace_service_pb2_grpc.TraceServiceStub(channel)
        await stub.Export(batch("order", 2, parent=1))
        await stub.Export(batch("edge", 1))

    async def whole():
        return len(trace_tree.read(home.traces, TRACE.hex()).spans) == 2

    await until(whole, "both spans")
    await receiver.stop()

    trace = trace_tree.read(home.traces, TRACE.hex())
    assert [(depth, span["service"], span["name"]) for depth, span in trace.walk()] == [
        (0, "edge", "call 1"),
        (1, "order", "call 2"),
    ]
    assert trace.spans[0] == {
        "span_id": "0000000000000001", "parent_span_id": "", "name": "call 1", "service": "edge", "kind": "server",
        "start": 1_000_000, "end": 1_500_000, "status": "unset", "attributes": {"rpc.method": "Get", "size": 3},
        "links": [],
    }  # fmt: skip
    assert [line.split() for line in trace.lines()] == [
        ["edge:", "call", "1", "+", "0.0", "ms", "0.5", "ms"],
        ["order:", "call", "2", "+", "1.0", "ms", "0.5", "ms"],
    ]
    assert receiver.code == 0


def test_the_oldest_traces_go_and_a_flood_is_dropped_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(trace_receiver, "MAX_TRACES", 10)
    monkeypatch.setattr(trace_receiver, "MAX_NEW_TRACES_PER_S", 0)
    store = Store(tmp_path)

    def add(number: int, span_id: str) -> None:
        trace_id = number.to_bytes(16)
        if store.takes(trace_id):
            store.add(trace_id, {"span_id": span_id})

    def kept() -> dict[int, int]:
        return {int(file.stem, 16): len(file.read_text().splitlines()) for file in tmp_path.glob("*.jsonl")}

    for round_ in range(2):
        for number in range(8):
            add(number, f"{number}-{round_}")
        store.write()
    assert kept() == dict.fromkeys(range(5), 2)

    monkeypatch.setattr(trace_receiver, "MAX_NEW_TRACES_PER_S", 1e9)
    for number in range(100, 112):
        add(number, "x")
    store.write()
    assert kept() == dict.fromkeys(range(102, 112), 1)


def test_a_line_that_a_kill_has_cut_is_passed_over(tmp_path):
    (tmp_path / f"{TRACE.hex()}.jsonl").write_text('{"span_id": "a", "start": 1}\n{"span_id": "b", "sta')
    assert [span["span_id"] for span in trace_tree.read(tmp_path, TRACE.hex()).spans] == ["a"]
