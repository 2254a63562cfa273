"""The RPCs of returns."""

from dataclasses import replace

from weft.order.v1 import order_pb2
from weft.order.v1 import return_pb2 as pb

from chassis import ids
from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.storage.database import Database
from contract import Caller
from services.order.domain import pricing
from services.order.domain.returns import ReturnState
from services.order.fulfilment import domain
from services.order.orders.change import change_units
from services.order.orders.repository import OrderRepository
from services.order.ownership import owner_of


class ReturnHandlers:
    """The part of weft.order.v1.OrderService that takes goods back."""

    def __init__(self, database: Database, orders: OrderRepository, clock: Clock) -> None:
        self._database = database
        self._orders = orders
        self._clock = clock

    async def RequestReturn(self, request: pb.RequestReturnRequest, call: Call) -> order_pb2.Order:
        """An operator requests only for what they have bought themselves."""
        buyer = replace(call.caller, kinds=call.caller.kinds - {Caller.OPERATOR})
        units, now = pricing.merge(request.lines), self._clock.now()
        return_id = ids.new("rtn", now)
        return await change_units(
            self._database,
            self._orders,
            request.order_id,
            call,
            lambda order: domain.request_return(order, return_id, units, request.reason, buyer.actor, now),
            owner_of(buyer),
        )

    async def ApproveReturn(self, request: pb.ApproveReturnRequest, call: Call) -> order_pb2.Order:
        return await self._decide(request, ReturnState.APPROVED, call)

    async def RefuseReturn(self, request: pb.RefuseReturnRequest, call: Call) -> order_pb2.Order:
        return await self._decide(request, ReturnState.REFUSED, call)

    async def ReceiveReturn(self, request: pb.ReceiveReturnRequest, call: Call) -> order_pb2.Order:
        """Goods, stock and the request of the refund are one transaction; the payment worker then calls the provider."""
        units, now = pricing.merge(request.lines), self._clock.now()
        refund_id = ids.new("ref", now)
        return await change_units(
            self._database,
            self._orders,
            request.order_id,
            call,
            lambda order: domain.receive_return(order, request.return_id, units, refund_id, call.caller.actor, now),
        )

    async def _decide(
        self, request: pb.ApproveReturnRequest | pb.RefuseReturnRequest, state: ReturnState, call: Call
    ) -> order_pb2.Order:
        actor, now = call.caller.actor, self._clock.now()
        return await change_units(
            self._database,
            self._orders,
            request.order_id,
            call,
            lambda order: domain.decide_return(order, request.return_id, state, request.reason, actor, now),
        )
