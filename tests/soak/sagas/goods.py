"""What happens to the goods of an order: they leave and arrive in parts, and some come back in parts."""

import random
from collections.abc import Sequence

from weft.order.v1 import fulfilment_pb2, order_pb2, order_service_pb2, return_pb2

from tests.soak.sagas.persistent import Persistent

Lines = Sequence[fulfilment_pb2.FulfilmentLineInput]
ALL: Lines = ()


class Goods:
    """Ships, delivers and takes back, as an operator and the customer would."""

    def __init__(self, calls: Persistent) -> None:
        self._calls = calls

    async def ship(self, order: order_pb2.Order) -> None:
        """One unit first, or all of them at once."""
        for lines in self._parts(order):
            request = fulfilment_pb2.ShipOrderRequest(order_id=order.order_id, lines=lines, carrier="Post")
            await self._calls.operator("ShipOrder", request)

    async def deliver(self, order: order_pb2.Order) -> None:
        """What has left, in parts or at once; sometimes the last part never arrives."""
        for lines in self._parts(order)[: random.choice([1, 2, 2, 2])]:
            request = fulfilment_pb2.DeliverOrderRequest(order_id=order.order_id, lines=lines)
            await self._calls.operator("DeliverOrder", request)

    async def send_back(self, order: order_pb2.Order) -> None:
        """Some or all of it; refused, received in part, or received, each received twice at once."""
        lines = random.choice([ALL, self._one(order)])
        request = return_pb2.RequestReturnRequest(order_id=order.order_id, lines=lines, reason="too large")
        await self._calls.buyer("RequestReturn", request)
        found = await self._calls.buyer("GetOrder", order_service_pb2.GetOrderRequest(order_id=order.order_id))
        if not found.returns:
            return
        made = found.returns[-1]
        which = {"order_id": order.order_id, "return_id": made.return_id}
        if random.random() < 0.2:
            await self._calls.operator("RefuseReturn", return_pb2.RefuseReturnRequest(reason="worn", **which))
            return
        await self._calls.operator("ApproveReturn", return_pb2.ApproveReturnRequest(**which))
        for part in random.choice([(ALL, ALL), (self._one(order), ALL), (self._one(order),)]):
            await self._calls.operator("ReceiveReturn", return_pb2.ReceiveReturnRequest(lines=part, **which))

    def _parts(self, order: order_pb2.Order) -> Sequence[Lines]:
        return random.choice([(ALL,), (self._one(order), ALL)])

    def _one(self, order: order_pb2.Order) -> Lines:
        return [fulfilment_pb2.FulfilmentLineInput(product_id=random.choice(order.lines).product_id, quantity=1)]
