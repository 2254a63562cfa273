"""Orders that were not paid in time."""

from datetime import timedelta

from services.chassis.clock import Clock
from services.chassis.outbox import Outbox
from services.chassis.work import Queue
from services.order.orders.domain import OrderState
from services.order.orders.repository import OrderRepository

AGE = timedelta(minutes=30)
"""How long an order may be PENDING."""
MOST = 500
"""Orders that one run ends."""


class Expiry:
    """A job: ends what is overdue, releases its stock, and has given back what a provider may hold."""

    def __init__(self, orders: OrderRepository, outbox: Outbox, payment_work: Queue, clock: Clock) -> None:
        self._orders = orders
        self._outbox = outbox
        self._payment_work = payment_work
        self._clock = clock

    async def run(self) -> int:
        """How many orders were ended. Each is a transaction of its own; replicas that run at once take turns on a row."""
        ended = 0
        for order_id in await self._orders.overdue(self._clock.now() - AGE, MOST):
            async with self._orders.database.transaction() as tx:
                order = await self._orders.lock(tx, order_id, None)
                if order is None or order.state is not OrderState.PENDING:
                    continue
                order.expire("service:order")
                ended += await self._orders.save(order, tx)
        if ended:
            self._outbox.wake()
            self._payment_work.wake()
        return ended
