"""The RPC by which operators put an order right by hand."""

from weft.order.v1 import order_pb2
from weft.order.v1 import override_pb2 as pb

from chassis import ids
from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.storage.database import Database
from chassis.telemetry.logs import logger
from services.order import messages
from services.order.domain.order import Order
from services.order.domain.refusals import OrderNotFound
from services.order.orders.repository import OrderRepository
from services.order.overrides import domain
from services.order.ownership import owner_of

log = logger("overrides")


class OverrideHandlers:
    """The part of weft.order.v1.OrderService that is done by hand."""

    def __init__(self, database: Database, orders: OrderRepository, clock: Clock) -> None:
        self._database = database
        self._orders = orders
        self._clock = clock

    async def OverrideOrder(self, request: pb.OverrideOrderRequest, call: Call) -> order_pb2.Order:
        actor = call.caller.actor
        async with self._database.transaction() as tx:
            order = await self._orders.lock(tx, owner_of(call.caller), request.order_id)
            if order is None:
                raise OrderNotFound(order_id=request.order_id)
            self._change(order, request, actor)
            await self._orders.update(order, tx)
            reply = messages.to_message(await self._orders.get_updated(tx, request.order_id))
            await call.remember(tx, reply)
        log.info("order_overridden", order_id=request.order_id, action=request.WhichOneof("action"), actor=actor)
        return reply

    def _change(self, order: Order, request: pb.OverrideOrderRequest, actor: str) -> None:
        match request.WhichOneof("action"):
            case "mark_paid":
                domain.mark_paid(order, request.mark_paid.reference, request.reason, actor)
            case "refund":
                made, refund_id = request.refund, ids.new("ref", self._clock.now())
                domain.record_refund(order, refund_id, made.amount_minor, made.reference, request.reason, actor)
            case _:
                order.cancel(request.reason, actor)
