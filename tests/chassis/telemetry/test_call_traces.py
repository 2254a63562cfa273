"""What a served call leaves in a trace and in log lines: its request id, its resources' ids, and a link to its caller."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
from opentelemetry.proto.trace.v1 import trace_pb2
from weft.order.v1 import order_pb2, order_service_pb2, product_pb2, product_service_pb2

from chassis.app import App
from chassis.rpc.call import Call
from chassis.storage.database import Database
from chassis.telemetry import logs
from chassis.telemetry.spans import RecordedSpan, SpanTracer, encode
from chassis.telemetry.tracing import Tracer
from tests.harness import Harness, Issuer, Running, refused

USER = "usr_01k00000000000000000000000"
ORDER = "ord_01k00000000000000000000000"
PRODUCT = "prd_01k00000000000000000000000"
OUTSIDE = f"00-{'a' * 32}-{'b' * 16}-01"


class Spans(list[RecordedSpan]):
    """Takes ended spans."""

    def add(self, span: RecordedSpan) -> None:
        self.append(span)

    def of(self, rpc: str) -> trace_pb2.Span:
        """The span of the last call of an RPC, as it is sent."""
        return next(encode(span) for span in reversed(self) if span.name.endswith(f"/{rpc}"))


def attributes(span: trace_pb2.Span) -> dict[str, str]:
    return {a.key: a.value.string_value for a in span.attributes}


class Products:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def CreateProduct(self, request: Any, call: Call) -> product_pb2.Product:
        logs.logger("test").info("creating")
        reply = product_pb2.Product(product_id=PRODUCT, title=request.title)
        async with self._database.transaction() as tx:
            await call.remember(tx, reply)
        return reply

    async def _none(self, request: Any, call: Call) -> None:
        raise AssertionError("not called")

    GetProduct = ListProducts = UpdateProduct = AdjustStock = _none


class Orders:
    async def GetOrder(self, request: Any, call: Call) -> order_pb2.Order:
        return order_pb2.Order(order_id=request.order_id, customer_id=call.caller.user_id)

    async def _none(self, request: Any, call: Call) -> None:
        raise AssertionError("not called")

    QuoteOrder = CreateOrder = ListOrders = CancelOrder = WatchOrders = _none


class Service:
    def __init__(self, running: Running, spans: Spans, issuer: Issuer) -> None:
        self.running, self.spans, self.issuer = running, spans, issuer

    async def get(self, order_id: str = ORDER, **headers: str) -> None:
        await self._send("OrderService/GetOrder", order_service_pb2.GetOrderRequest(order_id=order_id), headers)

    async def create(self, **headers: str) -> None:
        price = {"amount_minor": 5, "currency": "EUR"}
        request = product_service_pb2.CreateProductRequest(title="Tea", price=price)
        await self._send("ProductService/CreateProduct", request, headers)

    async def _send(self, rpc: str, request: Any, headers: dict[str, str]) -> None:
        method = self.running.channel.unary_unary(
            f"/weft.order.v1.{rpc}", request_serializer=lambda message: message.SerializeToString()
        )
        token = self.issuer.operator(USER, "products.write orders.read")
        given = [(name.replace("_", "-"), value) for name, value in headers.items()]
        await method(request, metadata=[("authorization", token), *given], timeout=10)


@pytest.fixture
async def service(harness: Harness) -> AsyncIterator[Service]:
    async def build(weft: App) -> None:
        weft.add_service("weft.order.v1.ProductService", Products(weft.database))
        weft.add_service("weft.order.v1.OrderService", Orders())

    spans = Spans()
    tracer: Any = SpanTracer(spans)  # type: ignore[arg-type]  # a sender that sends nowhere
    async with harness.running("order", build, work=False, tracer=Tracer(tracer, 1.0)) as running:
        yield Service(running, spans, harness.issuer)


async def test_a_call_is_found_by_its_request_id_and_by_the_ids_in_its_request(service: Service) -> None:
    await service.get(x_request_id="req-1")
    found = attributes(service.spans.of("GetOrder"))
    assert (found["weft.request_id"], found["weft.order_id"]) == ("req-1", ORDER)


async def test_what_was_created_is_found_by_its_id(service: Service) -> None:
    await service.create()
    assert attributes(service.spans.of("CreateProduct"))["weft.product_id"] == PRODUCT


async def test_a_call_without_a_request_id_is_given_one(service: Service) -> None:
    await service.get()
    assert len(attributes(service.spans.of("GetOrder"))["weft.request_id"]) == 32


async def test_what_has_not_the_form_of_an_id_is_in_no_span(service: Service) -> None:
    assert (await refused(service.get("kim@example.org"))).reason == "REQUEST_INVALID"
    assert "weft.order_id" not in attributes(service.spans.of("GetOrder"))


async def test_the_context_of_a_caller_outside_is_a_link_and_no_parent(service: Service) -> None:
    await service.get(x_weft_client_traceparent=OUTSIDE)
    span = service.spans.of("GetOrder")
    assert (span.parent_span_id, span.trace_id.hex() == "a" * 32) == (b"", False)
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in span.links] == [("a" * 32, "b" * 16)]


async def test_the_edge_and_other_services_continue_their_traces(service: Service) -> None:
    await service.get(traceparent=OUTSIDE)
    span = service.spans.of("GetOrder")
    assert (span.trace_id.hex(), span.parent_span_id.hex(), list(span.links)) == ("a" * 32, "b" * 16, [])


@pytest.mark.parametrize("header", ["00-zz", OUTSIDE.upper(), f"{OUTSIDE}0", OUTSIDE.replace("b", "_", 1)])
async def test_a_malformed_context_begins_a_new_trace(service: Service, header: str) -> None:
    await service.get(traceparent=header, x_weft_client_traceparent=header)
    span = service.spans.of("GetOrder")
    assert (span.parent_span_id, list(span.links)) == (b"", [])
    assert span.trace_id.hex() != "a" * 32


async def test_each_line_of_a_call_names_its_request(service: Service) -> None:
    with structlog.testing.capture_logs(processors=[logs.add_call]) as lines:
        await service.create(x_request_id="req-2")
    found = [(line["request_id"], len(line["trace_id"])) for line in lines if line["event"] == "creating"]
    assert found == [("req-2", 32)]
