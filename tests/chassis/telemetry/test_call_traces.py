"""What a served call leaves in a trace and in log lines: its request id, its resources' ids, and a link to its caller."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
from opentelemetry.proto.trace.v1 import trace_pb2
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.exposition import generate_latest

from chassis.rpc.call import Call
from chassis.storage.database import Database
from chassis.telemetry import logs
from chassis.telemetry.spans import RecordedSpan, SpanTracer, encode
from chassis.telemetry.tracing import Tracer
from tests.chassis.probe import contract as pb
from tests.chassis.probe.service import ITEM, USER, Items, serving, unary
from tests.harness import Harness, Issuer, Running, assert_refused
from tests.servers import until

OUTSIDE = f"00-{'a' * 32}-{'b' * 16}-01"


class Spans(list[RecordedSpan]):
    """Takes ended spans."""

    def add(self, span: RecordedSpan) -> None:
        self.append(span)

    async def of(self, rpc: str) -> trace_pb2.Span:
        """The span of the one call of an RPC, as it is sent: a caller may know of its end before the span has one."""

        async def ended() -> bool:
            return any(span.name.endswith(f"/{rpc}") for span in self)

        await until(ended, f"a span of {rpc}")
        return next(encode(span) for span in reversed(self) if span.name.endswith(f"/{rpc}"))


def attributes(span: trace_pb2.Span) -> dict[str, str]:
    return {a.key: a.value.string_value for a in span.attributes}


class Handlers(Items):
    def __init__(self, database: Database) -> None:
        self._database = database

    async def CreateItem(self, request: Any, call: Call) -> Any:
        logs.logger("test").info("creating")
        reply = pb.Item(item_id=ITEM, title=request.title)
        async with self._database.transaction() as tx:
            await call.remember(tx, reply)
        return reply

    async def GetItem(self, request: Any, call: Call) -> Any:
        return pb.Item(item_id=request.item_id)


class Service:
    def __init__(self, running: Running, spans: Spans, issuer: Issuer) -> None:
        self.running, self.spans, self.issuer = running, spans, issuer

    async def get(self, item_id: str = ITEM, **headers: str) -> None:
        await self._send("GetItem", pb.GetItemRequest(item_id=item_id), headers)

    async def create(self, **headers: str) -> None:
        await self._send("CreateItem", pb.CreateItemRequest(title="Tea"), headers)

    async def _send(self, rpc: str, request: Any, headers: dict[str, str]) -> None:
        token = self.issuer.operator(USER, "products.write orders.read")
        given = [(name.replace("_", "-"), value) for name, value in headers.items()]
        await unary(self.running, rpc)(request, metadata=[("authorization", token), *given], timeout=10)


@pytest.fixture
async def service(harness: Harness) -> AsyncIterator[Service]:
    spans = Spans()
    tracer: Any = SpanTracer(spans)  # type: ignore[arg-type]  # a sender that sends nowhere
    async with serving(harness, lambda app: Handlers(app.database), tracer=Tracer(tracer, 1.0)) as running:
        yield Service(running, spans, harness.issuer)


async def test_a_call_is_found_by_its_request_id_and_by_the_ids_in_its_request(service: Service) -> None:
    await service.get(x_request_id="req-1")
    found = attributes(await service.spans.of("GetItem"))
    assert (found["weft.request_id"], found["weft.item_id"]) == ("req-1", ITEM)


async def test_what_was_created_is_found_by_its_id(service: Service) -> None:
    await service.create()
    assert attributes(await service.spans.of("CreateItem"))["weft.item_id"] == ITEM


async def test_a_call_without_a_request_id_is_given_one(service: Service) -> None:
    await service.get()
    assert len(attributes(await service.spans.of("GetItem"))["weft.request_id"]) == 32


async def test_what_has_not_the_form_of_an_id_is_in_no_span(service: Service) -> None:
    await assert_refused(service.get("kim@example.org"), "REQUEST_INVALID", violations={"item_id": "must be an id"})
    assert "weft.item_id" not in attributes(await service.spans.of("GetItem"))


async def test_the_context_of_a_caller_outside_is_a_link_and_no_parent(service: Service) -> None:
    await service.get(x_weft_client_traceparent=OUTSIDE)
    span = await service.spans.of("GetItem")
    assert (span.parent_span_id, span.trace_id.hex() == "a" * 32) == (b"", False)
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in span.links] == [("a" * 32, "b" * 16)]


async def test_the_edge_and_other_services_continue_their_traces(service: Service) -> None:
    await service.get(traceparent=OUTSIDE)
    span = await service.spans.of("GetItem")
    assert (span.trace_id.hex(), span.parent_span_id.hex(), list(span.links)) == ("a" * 32, "b" * 16, [])


@pytest.mark.parametrize("header", ["00-zz", OUTSIDE.upper(), f"{OUTSIDE}0", OUTSIDE.replace("b", "_", 1)])
async def test_a_malformed_context_begins_a_new_trace(service: Service, header: str) -> None:
    await service.get(traceparent=header, x_weft_client_traceparent=header)
    span = await service.spans.of("GetItem")
    assert (span.parent_span_id, list(span.links)) == (b"", [])
    assert span.trace_id.hex() != "a" * 32


async def test_each_line_of_a_call_names_its_request_and_its_span(service: Service) -> None:
    with structlog.testing.capture_logs(processors=[logs.add_call]) as lines:
        await service.create(x_request_id="req-2")
    (line,) = (line for line in lines if line["event"] == "creating")
    span = await service.spans.of("CreateItem")
    assert (line["request_id"], line["trace_id"], line["trace_flags"]) == ("req-2", span.trace_id.hex(), "01")
    assert line["span_id"] == span.span_id.hex()


async def test_the_time_of_a_call_is_counted_by_opentelemetrys_conventions_with_its_trace_as_exemplar(
    service: Service,
) -> None:
    await service.get()
    span = await service.spans.of("GetItem")
    found = generate_latest(REGISTRY).decode()
    labels = 'error_type="",rpc_method="weft.lab.v1.ItemService/GetItem",rpc_response_status_code="OK",rpc_system_name="grpc"'
    (total,) = re.findall(rf"^rpc_server_call_duration_seconds_count{{{labels}}} (\S+)$", found, re.MULTILINE)
    assert float(total) > 0
    exemplars = re.findall(rf"_bucket{{{labels.replace('rpc_method', 'le=.*?,rpc_method')}}} \S+ # {{(.*?)}}", found)
    assert f'span_id="{span.span_id.hex()}",trace_id="{span.trace_id.hex()}"' in exemplars
