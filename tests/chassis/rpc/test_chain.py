"""The chain over a real socket: what happens to a call before and after its handler."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from weft.order.v1 import order_pb2, order_service_pb2, product_pb2, product_service_pb2

from chassis import errors
from chassis.app import App
from chassis.rpc import chain
from chassis.rpc.call import Call
from chassis.storage.database import Query
from tests.harness import Harness, Issuer, Refusal, Running, refused
from tests.servers import until

USER = "usr_01k00000000000000000000000"
ORDER = "ord_01k00000000000000000000000"
PRODUCT = "prd_01k00000000000000000000000"
KEPT = Query("SELECT count(*) AS n FROM idempotency")


class Products:
    """Handlers that show what reached them."""

    def __init__(self, weft: App) -> None:
        self.database = weft.database
        self.runs = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def CreateProduct(self, request: product_service_pb2.CreateProductRequest, call: Call) -> product_pb2.Product:
        self.runs += 1
        run = self.runs
        await self.gate.wait()
        reply = product_pb2.Product(product_id=PRODUCT, title=f"{request.title} {run}")
        async with self.database.transaction() as tx:
            await call.remember(tx, reply)
        return reply

    async def GetProduct(self, request: Any, call: Call) -> product_pb2.Product:
        raise ZeroDivisionError("postgresql://role:password@host")

    async def ListProducts(self, request: Any, call: Call) -> product_service_pb2.ListProductsResponse:
        await asyncio.Event().wait()
        raise AssertionError("waited for ever")

    async def UpdateProduct(self, request: Any, call: Call) -> product_pb2.Product:
        raise errors.EtagMismatch(etag="e1")

    async def AdjustStock(self, request: Any, call: Call) -> product_pb2.Product:
        self.runs += 1
        reply = product_pb2.Product(product_id=PRODUCT, title=f"run {self.runs}")
        async with self.database.transaction() as tx:
            await call.remember(tx, reply)
        return reply


class Orders:
    """The same for orders, with a stream."""

    async def WatchOrders(self, request: Any, call: Call) -> AsyncIterator[order_service_pb2.WatchOrdersResponse]:
        for n in range(3):
            yield order_service_pb2.WatchOrdersResponse(cursor=str(n))

    async def GetOrder(self, request: Any, call: Call) -> order_pb2.Order:
        return order_pb2.Order(order_id=request.order_id, customer_id=call.caller.user_id)

    async def _none(self, request: Any, call: Call) -> None:
        raise AssertionError("not called")

    QuoteOrder = CreateOrder = ListOrders = CancelOrder = _none


class Fixture:
    """A running service with those handlers, and short ways to call it."""

    def __init__(self, running: Running, products: Products, issuer: Issuer) -> None:
        self.running, self.products, self.issuer = running, products, issuer
        self.operator = issuer.operator(USER, "products.write orders.read")

    def call(
        self, rpc: str, request: Any, reply: Any, authorization: str = "", timeout: float | None = 10, **headers: str
    ) -> Any:
        service = "OrderService" if "Order" in rpc else "ProductService"
        metadata = [(name.replace("_", "-"), value) for name, value in headers.items()]
        if authorization:
            metadata.append(("authorization", authorization))
        method = self.running.channel.unary_unary(
            f"/weft.order.v1.{service}/{rpc}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=reply.FromString,
        )
        return method(request, metadata=metadata, timeout=timeout)

    def create(self, title: str = "Tea", **headers: str) -> Any:
        request = product_service_pb2.CreateProductRequest(title=title, price={"amount_minor": 5, "currency": "EUR"})
        return self.call("CreateProduct", request, product_pb2.Product, self.operator, **headers)

    def get_order(self, authorization: str = "", order_id: str = ORDER) -> Any:
        return self.call(
            "GetOrder", order_service_pb2.GetOrderRequest(order_id=order_id), order_pb2.Order, authorization
        )


@pytest.fixture
async def service(harness: Harness) -> AsyncIterator[Fixture]:
    kept: list[Products] = []

    async def build(weft: App) -> None:
        kept.append(Products(weft))
        weft.add_service("weft.order.v1.ProductService", kept[0])
        weft.add_service("weft.order.v1.OrderService", Orders())

    async with harness.running("order", build, work=False) as running:
        yield Fixture(running, kept[0], harness.issuer)


def test_the_order_of_the_chain_is_the_one_that_its_reasons_ask_for() -> None:
    assert [stage.__name__ for stage in chain.CHAIN] == [
        "telemetry", "error_mapping", "admission", "authentication", "authorization", "stream_quota", "validation", "response",
        "idempotency",
    ]  # fmt: skip


async def test_a_token_is_asked_for_and_verified(service: Fixture) -> None:
    issuer = service.issuer
    assert (await refused(service.get_order())).reason == "TOKEN_MISSING"
    assert (await refused(service.get_order("Bearer a.b.c"))).reason == "TOKEN_INVALID"
    assert (await refused(service.get_order("Basic YTpi"))).reason == "TOKEN_INVALID"
    expired = issuer.token(USER, "orders.read", lifetime=-61)
    assert (await refused(service.get_order(expired))).reason == "TOKEN_EXPIRED"
    other = Issuer().token(USER, "orders.read")
    assert (await refused(service.get_order(other))).reason == "TOKEN_INVALID"
    for wrong in ({"iss": "https://elsewhere"}, {"aud": "other"}, {"sub": ""}):
        claims = {"sub": USER, **wrong}
        assert (
            await refused(service.get_order(issuer.token(claims.pop("sub"), "orders.read", **claims)))
        ).reason == "TOKEN_INVALID"
    reply = await service.get_order(issuer.user(USER))
    assert reply.customer_id == USER


async def test_callers_and_scopes_are_those_of_the_contract(service: Fixture) -> None:
    customer = service.issuer.user(USER)
    request = product_service_pb2.CreateProductRequest(title="Tea")
    found = await refused(service.call("CreateProduct", request, product_pb2.Product, customer))
    assert (found.code, found.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
    assert found.metadata == {"callers": "OPERATOR, PARTNER"}
    found = await refused(service.get_order(service.issuer.user(USER, "users.read")))
    assert (found.reason, found.metadata) == ("SCOPE_MISSING", {"scope": "orders.read"})


async def test_every_violation_is_named_at_once(service: Fixture) -> None:
    request = product_service_pb2.CreateProductRequest(title="", price={"amount_minor": -1, "currency": "eur"})
    grpc_call = service.call("CreateProduct", request, product_pb2.Product, service.operator)
    assert set((await refused(grpc_call)).violations) == {"title", "price.amount_minor", "price.currency"}


@pytest.mark.logs_errors("call_failed")
async def test_an_unknown_exception_tells_nothing_but_the_request_id(service: Fixture) -> None:
    request = product_service_pb2.GetProductRequest(product_id=PRODUCT)
    with pytest.raises(grpc.RpcError) as caught:
        await service.call("GetProduct", request, product_pb2.Product, x_request_id="req-1")
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    trailers = dict(caught.value.trailing_metadata())
    assert b"req-1" in trailers["grpc-status-details-bin"]
    assert "password" not in repr(caught.value)
    assert b"password" not in trailers["grpc-status-details-bin"]


async def test_typed_errors_carry_their_metadata(service: Fixture) -> None:
    request = product_service_pb2.UpdateProductRequest(product={"title": "Tea"})
    found = await refused(service.call("UpdateProduct", request, product_pb2.Product, service.operator))
    assert found == Refusal(grpc.StatusCode.ABORTED, "ETAG_MISMATCH", "weft.api.v1", {"etag": "e1"}, {}, None)


async def test_a_call_ends_at_its_deadline(service: Fixture) -> None:
    begun = time.monotonic()
    request = product_service_pb2.ListProductsRequest()
    with pytest.raises(grpc.RpcError) as caught:
        await service.call("ListProducts", request, product_service_pb2.ListProductsResponse, timeout=0.2)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - begun < 4


async def test_creation_answers_201_with_the_place_of_what_was_made(service: Fixture) -> None:
    call = service.create()
    await call
    headers = dict(await call.initial_metadata())
    assert (headers["x-http-status"], headers["location"]) == ("201", f"/v1/products/{PRODUCT}")


async def test_a_repeated_key_gets_the_first_reply(service: Fixture) -> None:
    first = await service.create(idempotency_key="k1")
    again = service.create(idempotency_key="k1")
    assert await again == first
    assert dict(await again.initial_metadata())["idempotency-replayed"] == "true"
    assert dict(await again.initial_metadata())["location"] == f"/v1/products/{PRODUCT}"
    assert (await service.running.app.database.one(KEPT)).n == 1


async def test_a_key_with_another_request_is_refused_by_name(service: Fixture) -> None:
    await service.create("Tea", idempotency_key="k1")
    found = await refused(service.create("Coffee", idempotency_key="k1"))
    assert (found.code, found.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "IDEMPOTENCY_KEY_REUSED")


async def test_calls_with_one_key_at_once_run_once_at_a_time_and_agree(service: Fixture) -> None:
    service.products.gate.clear()
    calls = [asyncio.ensure_future(_awaited(service.create(idempotency_key="k1"))) for _ in range(20)]

    async def is_running() -> bool:
        return service.products.runs == 1

    await until(is_running, "the first call to run")
    service.products.gate.set()
    replies = await asyncio.gather(*calls)
    assert {reply.title for reply in replies} == {"Tea 1"}
    assert (await service.running.app.database.one(KEPT)).n == 1


async def _awaited(call: Any) -> Any:
    return await call


async def test_keys_of_different_callers_do_not_meet(service: Fixture) -> None:
    await service.create(idempotency_key="k1")
    service.operator = service.issuer.operator(USER.replace("01k", "01m"), "products.write")
    assert (await service.create(idempotency_key="k1")).title == "Tea 2"


async def test_a_required_key_is_asked_for_and_a_bad_one_refused(service: Fixture) -> None:
    request = product_service_pb2.AdjustStockRequest(product_id=PRODUCT, delta=1)
    adjust = lambda **headers: service.call("AdjustStock", request, product_pb2.Product, service.operator, **headers)  # noqa: E731
    assert (await refused(adjust())).reason == "IDEMPOTENCY_KEY_MISSING"
    assert (await refused(adjust(idempotency_key="a" * 256))).reason == "IDEMPOTENCY_KEY_INVALID"
    assert (await adjust(idempotency_key="ok")).title == "run 1"


async def test_load_beyond_the_bound_is_shed_at_once_with_a_time_to_come_back(harness: Harness) -> None:
    async def build(weft: App) -> None:
        weft.add_service("weft.order.v1.ProductService", Products(weft))

    async with harness.running("order", build, work=False, max_concurrent_calls=2) as running:
        fixture = Fixture(running, Products(running.app), harness.issuer)
        request = product_service_pb2.ListProductsRequest()
        waiting = [fixture.call("ListProducts", request, product_service_pb2.ListProductsResponse) for _ in range(2)]

        async def is_full() -> bool:
            return running.app.server_context.in_flight == 2

        await until(is_full, "two calls to run")
        found = await refused(fixture.call("ListProducts", request, product_service_pb2.ListProductsResponse))
        assert (found.code, found.reason, found.retry_after) == (grpc.StatusCode.UNAVAILABLE, "OVERLOADED", 1.0)
        for call in waiting:
            call.cancel()


async def test_streams_run_through_the_chain(service: Fixture) -> None:
    watch = service.running.channel.unary_stream(
        "/weft.order.v1.OrderService/WatchOrders",
        request_serializer=order_service_pb2.WatchOrdersRequest.SerializeToString,
        response_deserializer=order_service_pb2.WatchOrdersResponse.FromString,
    )
    request = order_service_pb2.WatchOrdersRequest()
    metadata = [("authorization", service.issuer.user(USER))]
    assert [message.cursor async for message in watch(request, metadata=metadata)] == ["0", "1", "2"]
    with pytest.raises(grpc.RpcError) as caught:
        _ = [message async for message in watch(request)]
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
