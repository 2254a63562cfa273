"""The RPCs of shipping and delivering."""

from weft.order.v1 import fulfilment_pb2 as pb
from weft.order.v1 import order_pb2

from chassis import ids
from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.storage.database import Database
from services.order.domain import pricing
from services.order.fulfilment import domain
from services.order.orders.change import change_units
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
        return await change_units(
            self._database,
            self._orders,
            request.order_id,
            call,
            lambda order: domain.ship(
                order, shipment_id, units, request.carrier, request.tracking_number, call.caller.actor, now
            ),
        )

    async def DeliverOrder(self, request: pb.DeliverOrderRequest, call: Call) -> order_pb2.Order:
        units, now = pricing.merge(request.lines), self._clock.now()
        return await change_units(
            self._database,
            self._orders,
            request.order_id,
            call,
            lambda order: domain.deliver(order, request.shipment_id, units, call.caller.actor, now),
        )
