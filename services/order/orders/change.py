"""A change of one order by a call: the order is locked, changed, written, and returned as it is then."""

from collections.abc import Callable

from weft.order.v1 import order_pb2

from chassis.rpc.call import Call
from chassis.storage.database import Database
from services.order import messages
from services.order.domain.order import Order
from services.order.domain.refusals import OrderNotFound
from services.order.orders.repository import OrderRepository
from services.order.ownership import Owner, owner_of


async def change_units(
    database: Database,
    orders: OrderRepository,
    order_id: str,
    call: Call,
    change: Callable[[Order], None],
    owner: Owner | None = None,
) -> order_pb2.Order:
    """Of an order with its units. `owner` is whose order it must be, if not the caller's.

    Raises `OrderNotFound`, and what `change` raises.
    """
    async with database.transaction() as tx:
        order = await orders.lock_units(tx, owner or owner_of(call.caller), order_id)
        if order is None:
            raise OrderNotFound(order_id=order_id)
        change(order)
        await orders.update(order, tx)
        reply = messages.to_message(await orders.get_updated(tx, order_id))
        await call.remember(tx, reply)
    return reply
