"""Waiting for a lock: a call is told that its key is in use where it waited for its key, and nowhere else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from weft.order.v1 import product_pb2, product_service_pb2

from chassis.app import App
from chassis.rpc.call import Call
from chassis.storage.database import Database, Query
from tests.harness import Harness, Refusal, Running, refused
from tests.servers import until

OPERATOR = "usr_01k00000000000000000000000"
IMPATIENT = Query("SET LOCAL lock_timeout = '100ms'")
LOCK = Query("SELECT pg_advisory_xact_lock(1)")


class Products:
    """Creates nothing: holds the key, or the lock that others wait for, while its gate is shut."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.gate = asyncio.Event()
        self.holding = False

    async def CreateProduct(self, request: product_service_pb2.CreateProductRequest, call: Call) -> product_pb2.Product:
        reply = product_pb2.Product(title=request.title)
        async with self._database.transaction() as tx:
            await tx.run(IMPATIENT)
            if request.title == "row":
                await tx.first(LOCK)
            await call.remember(tx, reply)
            self.holding = True
            await self.gate.wait()
        return reply

    async def _none(self, request: Any, call: Call) -> None:
        raise AssertionError("not called")

    GetProduct = ListProducts = UpdateProduct = AdjustStock = _none


@asynccontextmanager
async def replica(harness: Harness, prefix: str) -> AsyncIterator[tuple[Running, Products]]:
    kept: list[Products] = []

    async def build(weft: App) -> None:
        kept.append(Products(weft.database))
        weft.add_service("weft.order.v1.ProductService", kept[0])

    async with harness.running("order", build, prefix=prefix, work=False) as running:
        yield running, kept[0]


async def create(harness: Harness, running: Running, title: str, key: str | None) -> Any:
    call = running.channel.unary_unary(
        "/weft.order.v1.ProductService/CreateProduct",
        request_serializer=product_service_pb2.CreateProductRequest.SerializeToString,
        response_deserializer=product_pb2.Product.FromString,
    )
    request = product_service_pb2.CreateProductRequest(title=title, price={"amount_minor": 5, "currency": "EUR"})
    metadata = [("authorization", harness.issuer.operator(OPERATOR, "products.write"))]
    return await call(request, metadata=[*metadata, *([("idempotency-key", key)] if key else [])], timeout=20)


async def test_only_who_waited_for_its_key_is_told_that_the_key_is_in_use(harness: Harness) -> None:
    prefix = harness.service_database("order")
    async with replica(harness, prefix) as (one, first), replica(harness, prefix) as (two, second):
        second.gate.set()
        holder = asyncio.create_task(create(harness, one, "row", "k1"))

        async def holds() -> bool:
            return first.holding

        await until(holds, "the first call to hold its key and the lock")
        same_key = await refused(create(harness, two, "free", "k1"))
        same_row = await refused(create(harness, two, "row", "k2"))
        no_key = await refused(create(harness, two, "row", None))
        first.gate.set()
        await holder
        in_use = Refusal(grpc.StatusCode.ABORTED, "IDEMPOTENCY_KEY_IN_USE", "weft.api.v1", {}, {}, 1.0)
        contended = Refusal(grpc.StatusCode.ABORTED, "RESOURCE_BUSY", "weft.api.v1", {}, {}, 1.0)
        assert (same_key, same_row, no_key) == (in_use, contended, contended)
        assert (await create(harness, two, "free", "k3")).title == "free"


async def test_a_key_that_is_given_twice_is_refused(harness: Harness) -> None:
    async with replica(harness, harness.service_database("order")) as (running, products):
        products.gate.set()
        call = running.channel.unary_unary(
            "/weft.order.v1.ProductService/CreateProduct",
            request_serializer=product_service_pb2.CreateProductRequest.SerializeToString,
        )
        request = product_service_pb2.CreateProductRequest(title="Tea", price={"amount_minor": 5, "currency": "EUR"})
        token = ("authorization", harness.issuer.operator(OPERATOR, "products.write"))
        for keys in (("k1", "k2"), ("k1", "k1"), ("", "k1")):
            metadata = [token, *(("idempotency-key", key) for key in keys)]
            assert (await refused(call(request, metadata=metadata, timeout=20))).reason == "IDEMPOTENCY_KEY_INVALID"
        assert (await refused(call(request, metadata=[token, token], timeout=20))).reason == "TOKEN_INVALID"
