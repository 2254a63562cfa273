"""Smallest servers, for limits and for what the chain adds: `python -m bench.stacks.servers bare|stock|chain host:port`.

All answer `OrderService.GetOrder` and `CreateOrder` with one fixed order, from typed messages, and ask no database.
`bare` is grpc.aio as it comes, `stock` has OpenTelemetry's interceptor, `chain` is the chassis's chain, and `edge` is
bare but has what Envoy asks for: health and the key set. All run on uvloop.
"""

import asyncio
import os
import signal
import sys
from typing import Any

import grpc
import uvloop
from google.api import httpbody_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from weft.order.v1 import money_pb2, order_pb2, order_service_pb2, order_service_pb2_grpc
from weft.user.v1 import oauth_service_pb2, oauth_service_pb2_grpc

import contract
from chassis.rpc import chain, stages
from chassis.rpc.call import Call
from chassis.rpc.stream_quota import StreamQuota
from chassis.security import revocations
from chassis.security.revocations import Revocations
from chassis.security.tokens import TokenVerifier
from chassis.telemetry import resource, tracing
from chassis.telemetry.usage import Usage

Context = grpc.aio.ServicerContext[Any, Any]
NIL = "0" * 26
tasks: set[asyncio.Task[None]] = set()
"""Event loops hold tasks weakly."""
ORDER = order_pb2.Order(
    order_id=f"ord_{NIL}",
    customer_id=f"usr_{NIL}",
    partner_id=f"prt_{NIL}",
    lines=[
        order_pb2.OrderLine(
            product_id=f"prd_{NIL}",
            title="Benchmark article 7",
            quantity=quantity,
            unit_price=money_pb2.Money(amount_minor=1200, currency="EUR"),
        )
        for quantity in (1, 2)
    ],
    total=money_pb2.Money(amount_minor=3600, currency="EUR"),
    state=order_pb2.ORDER_STATE_PENDING,
    payment_state=order_pb2.PAYMENT_STATE_PENDING,
    payment_id=f"pay_{NIL}",
    note="as usual",
    etag="0123456789abcdef",
)


class Bare(order_service_pb2_grpc.OrderServiceServicer):
    """Answers immediately."""

    async def GetOrder(self, request: order_service_pb2.GetOrderRequest, context: Context) -> order_pb2.Order:
        """The one order."""
        return ORDER

    async def CreateOrder(self, request: order_service_pb2.CreateOrderRequest, context: Context) -> order_pb2.Order:
        """The one order."""
        return ORDER


class Keys(oauth_service_pb2_grpc.OAuthServiceServicer):
    """The key set that Envoy verifies tokens with."""

    async def GetJwks(self, request: oauth_service_pb2.GetJwksRequest, context: Context) -> httpbody_pb2.HttpBody:
        """As `BENCH_JWKS` has it."""
        return httpbody_pb2.HttpBody(content_type="application/json", data=os.environ["BENCH_JWKS"].encode())


class Chained:
    """The same, in the chain's terms."""

    async def get(self, request: order_service_pb2.GetOrderRequest, call: Call) -> order_pb2.Order:
        """The one order."""
        return ORDER


async def build(kind: str) -> grpc.aio.Server:
    """The server of a kind; its settings come from `BENCH_OTLP`, `BENCH_RATIO`, `BENCH_JWKS`."""
    otlp, ratio = os.environ.get("BENCH_OTLP", ""), float(os.environ.get("BENCH_RATIO", "1"))
    if kind == "chain":
        return _chained(tracing.start(resource.describe("chain", "", "development"), otlp, ratio, ""))
    interceptors = []
    if kind == "stock":
        from opentelemetry.instrumentation.grpc import aio_server_interceptor

        from bench.peers.settings import Settings
        from bench.peers.telemetry import start

        start(Settings(database_url="", jwt_public_key="", otlp_endpoint=otlp, trace_ratio=ratio), "stock")
        interceptors = [aio_server_interceptor()]
    server = grpc.aio.server(interceptors=interceptors)
    order_service_pb2_grpc.add_OrderServiceServicer_to_server(Bare(), server)
    if kind == "edge":
        servicer = health.aio.HealthServicer()
        await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        oauth_service_pb2_grpc.add_OAuthServiceServicer_to_server(Keys(), server)
    return server


def _chained(tracer: tracing.Tracer) -> grpc.aio.Server:
    read = contract.load()

    async def keys() -> str:
        return os.environ["BENCH_JWKS"]

    parts = stages.ServerContext(
        contract=read,
        tracer=tracer,
        tokens=TokenVerifier("https://weft.local", keys),
        revocations=Revocations(revocations.none),
        replies=None,
        trusted_callers=frozenset(),
        max_concurrent_calls=256,
        stream_quota=StreamQuota(16, 64),
        usage=Usage(),
    )
    tasks.add(asyncio.create_task(parts.revocations.follow()))
    bound = {"GetOrder": chain.bind(parts, read.by_path["/weft.order.v1.OrderService/GetOrder"], Chained().get)}
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("weft.order.v1.OrderService", bound),))
    return server


async def serve(kind: str, address: str) -> None:
    """Serves until SIGTERM."""
    server = await build(kind)
    server.add_insecure_port(address)
    await server.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await server.stop(1)


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], sys.argv[2]))
