"""Calls about orders, as tests make them."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import grpc
import psycopg
from google.protobuf.field_mask_pb2 import FieldMask
from weft.order.v1 import order_pb2, update_pb2

from tests.harness import Refusal, refusal
from tests.order.shop import Shop, metadata


async def outcome(call) -> order_pb2.Order | Refusal:
    try:
        return await call
    except grpc.RpcError as error:
        return refusal(error)


async def all_of(calls) -> tuple[list[order_pb2.Order], list[Refusal]]:
    results = await asyncio.gather(*(outcome(call) for call in calls))
    placed = [r for r in results if isinstance(r, order_pb2.Order)]
    return placed, [r for r in results if isinstance(r, Refusal)]


@asynccontextmanager
async def locked(shop: Shop, table: str, column: str, value: str):
    """A row that another connection has locked for the length of a block."""
    async with await psycopg.AsyncConnection.connect(shop.app.database_url) as other:
        await other.execute(f"SELECT true FROM {table} WHERE {column} = %s FOR UPDATE", [value])
        yield
        await other.rollback()


def update(shop: Shop, order_id: str, *mask: str, token: str = "", **details: Any) -> Any:
    """Awaitable."""
    order = update_pb2.OrderDetails(order_id=order_id, **details)
    request = update_pb2.UpdateOrderRequest(order=order, update_mask=FieldMask(paths=mask))
    return shop.orders.UpdateOrder(request, metadata=metadata(token or shop.user))
