"""The RPCs of shipping and delivering."""

from collections.abc import Callable

from weft.order.v1 import fulfilment_pb2 as pb
from weft.order.v1 import order_pb2

from chassis import ids
from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.storage.database import Database
from services.order import messages
from services.order.domain import pricing
from services.order.domain.order import Order
from services.order.domain.refusals import OrderNotFound
from services.order.orders.repository import OrderRepository


class FulfilmentHandlers:
    """The part of weft.order.v1.OrderService that moves goods."""

    def __init__(self, database: Database, orders: OrderRepository, clock: Clock) -> None:
        self._database = database
        self._orders = orders
        self._clock = clock

    async def ShipOrder(self, request: pb.ShipOrderRequest, call: Call) -> order_pb2.Order:
        units, now = pricing.merge(request.lines), self._clock.now()
        shipment_id = ids.new("shp", now)
        return await self._change(
            request.order_id,
            call,
            lambda order: order.ship(
                shipment_id, units, request.carrier, request.tracking_number, call.caller.actor, now
            ),
        )

    async def DeliverOrder(self, request: pb.DeliverOrderRequest, call: Call) -> order_pb2.Order:
        units, now = pricing.merge(request.lines), self._clock.now()
        return await self._change(
            request.order_id,
            call,
            lambda order: order.deliver(request.shipment_id, units, call.caller.actor, now),
        )

    async def _change(self, order_id: str, call: Call, change: Callable[[Order], None]) -> order_pb2.Order:
        """Change a locked order, and answer with the result."""
        async with self._database.transaction() as tx:
            order = await self._orders.lock_units(tx, order_id, call.caller)
            if order is None:
                raise OrderNotFound(order_id=order_id)
            change(order)
            await self._orders.update(order, tx)
            reply = messages.to_message(await self._orders.get_updated(tx, order_id))
            await call.remember(tx, reply)
        return reply
