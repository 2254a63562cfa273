"""Sides whose caller is measured too: the load generator's own process plays the calling service."""

import itertools
import random
from typing import Any

import grpc
import httpx
from weft.order.v1 import order_service_pb2, order_service_pb2_grpc
from weft_client import MutualTls
from weft_internal import InternalWeft

from bench.load.loops import Send
from bench.load.plan import Plan
from bench.peers import telemetry
from bench.peers.fastapi_sqlalchemy.schemas import UserOut
from bench.peers.settings import Settings
from chassis.telemetry import resource
from chassis.telemetry import tracing as chassis

Kept = list[Any]
"""What is closed at the end."""


def _traced(plan: Plan) -> bool:
    """Whether the caller's process has the stock SDK now; with `own`, it traces as Weft's services do."""
    otlp, ratio = plan.arguments.get("otlp", ""), plan.arguments.get("ratio", 1.0)
    if plan.arguments.get("own"):
        chassis.start(resource.describe("caller", "", "development"), otlp, ratio, "")
        return False
    return telemetry.start(
        Settings(database_url="", jwt_public_key="", otlp_endpoint=otlp, trace_ratio=ratio), "caller"
    )


def _rotation(values: list[str]) -> "itertools.cycle[str]":
    return itertools.cycle(random.sample(values, len(values)))


async def weft_users(plan: Plan) -> tuple[list[Send], Kept]:
    """`UserService.BatchGetUsers` of one user, by the client that services use, over mutual TLS."""
    _traced(plan)
    tls = MutualTls(plan.tls["cert"], plan.tls["key"], plan.tls["ca"])
    client = InternalWeft({"user": plan.targets}, tls=tls)
    ids = _rotation(plan.arguments["customers"])

    async def send() -> str:
        reply = await client.users.batch_get_users(user_ids=[next(ids)])
        return "OK" if reply.users[0].partner_id else "empty"

    return [send] * plan.concurrency, [client]


async def httpx_users(plan: Plan) -> tuple[list[Send], Kept]:
    """`GET /v1/users/{user_id}` by httpx, read into a pydantic model."""
    if _traced(plan):
        from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

        HTTPXClientInstrumentor().instrument()
    client = httpx.AsyncClient(
        base_url=f"http://{plan.targets[0]}",
        headers={"authorization": f"Bearer {plan.arguments['token']}"},
        limits=httpx.Limits(max_connections=plan.concurrency, max_keepalive_connections=plan.concurrency),
        timeout=10,
    )
    ids = _rotation(plan.arguments["customers"])

    async def send() -> str:
        reply = await client.get(f"/v1/users/{next(ids)}")
        if reply.status_code != 200:
            return str(reply.status_code)
        return "OK" if UserOut.model_validate_json(reply.content).partner_id else "empty"

    return [send] * plan.concurrency, [_Closing(client)]


class _Closing:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def close(self) -> None:
        await self._client.aclose()


async def weft_orders(plan: Plan) -> tuple[list[Send], Kept]:
    """`GetOrder` by the generated client, in plain text, with the plan's tracing."""
    _traced(plan)
    client = InternalWeft({"order": plan.targets})
    order_id = plan.arguments["order_id"]

    async def send() -> str:
        await client.orders.get_order(order_id=order_id)
        return "OK"

    return [send] * plan.concurrency, [client]


async def bare_orders(plan: Plan) -> tuple[list[Send], Kept]:
    """`GetOrder` by the bare stub."""
    channel = grpc.aio.insecure_channel(plan.targets[0])
    stub = order_service_pb2_grpc.OrderServiceStub(channel)
    order_id = plan.arguments["order_id"]

    async def send() -> str:
        await stub.GetOrder(order_service_pb2.GetOrderRequest(order_id=order_id), timeout=10.0)
        return "OK"

    return [send] * plan.concurrency, [channel]
