"""Calls of shipments and returns, as tests make them."""

from typing import Any

from weft.order.v1 import fulfilment_pb2, order_event_pb2, return_pb2

from chassis import ids
from tests.order.payments.till import Till
from tests.order.shop import Shop, metadata

R = return_pb2
LINE = fulfilment_pb2.FulfilmentLineInput


def request(shop: Shop, order_id: str, *units: tuple[str, int], token: str = "", key: str = "", reason: str = ""):
    asked = R.RequestReturnRequest(order_id=order_id, lines=lines(*units), reason=reason)
    return shop.orders.RequestReturn(asked, metadata=metadata(token or shop.user, key or ids.new("key")))


def approve(shop: Shop, order_id: str, return_id: str, key: str = ""):
    asked = R.ApproveReturnRequest(order_id=order_id, return_id=return_id, reason="as new")
    return shop.orders.ApproveReturn(asked, metadata=metadata(shop.operator, key))


def receive(shop: Shop, order_id: str, return_id: str, *units: tuple[str, int], key: str = ""):
    asked = R.ReceiveReturnRequest(order_id=order_id, return_id=return_id, lines=lines(*units))
    return shop.orders.ReceiveReturn(asked, metadata=metadata(shop.operator, key or ids.new("key")))


async def delivered(till: Till, *units: tuple[str, int], **more: Any) -> str:
    """An order whose units are paid and have arrived."""
    placed = await till.shop.order(*units, **more)
    await till.run()
    await ship(till.shop, placed.order_id)
    await till.run()
    await deliver(till.shop, placed.order_id)
    return placed.order_id


async def approved(till: Till, order_id: str, *units: tuple[str, int]) -> str:
    asked = await request(till.shop, order_id, *units)
    await approve(till.shop, order_id, asked.returns[-1].return_id)
    return asked.returns[-1].return_id


def lines(*units: tuple[str, int]) -> list[fulfilment_pb2.FulfilmentLineInput]:
    return [LINE(product_id=product, quantity=quantity) for product, quantity in units]


def ship(shop: Shop, order_id: str, *units: tuple[str, int], key: str = "", **more: str):
    request = fulfilment_pb2.ShipOrderRequest(order_id=order_id, lines=lines(*units), **more)
    return shop.orders.ShipOrder(request, metadata=metadata(shop.operator, key or ids.new("key")))


def deliver(shop: Shop, order_id: str, *units: tuple[str, int], key: str = "", **more: str):
    request = fulfilment_pb2.DeliverOrderRequest(order_id=order_id, lines=lines(*units), **more)
    return shop.orders.DeliverOrder(request, metadata=metadata(shop.operator, key or ids.new("key")))


async def timeline(shop: Shop, order_id: str, token: str = "", **page) -> order_event_pb2.ListOrderEventsResponse:
    request = order_event_pb2.ListOrderEventsRequest(order_id=order_id, **page)
    return await shop.orders.ListOrderEvents(request, metadata=metadata(token or shop.user))
