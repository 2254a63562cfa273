"""Orders that were not paid in time."""

import asyncio
from datetime import timedelta

from chassis.clock import Clock
from chassis.queues.outbox import Outbox
from chassis.queues.queue import Queue
from chassis.telemetry.logs import logger
from services.order.domain.order import Order, OrderState
from services.order.orders.repository import OrderRepository

log = logger("expiry")
AGE = timedelta(minutes=30)
"""How long an order may be PENDING."""
MOST = 500
"""Orders that one run ends."""
TOGETHER = 50
"""Orders that share a statement."""


class Expiry:
    """A job: ends what is overdue, releases its stock, and has given back what a provider may hold."""

    def __init__(self, orders: OrderRepository, outbox: Outbox, payment_work: Queue, clock: Clock) -> None:
        self._orders = orders
        self._outbox = outbox
        self._payment_work = payment_work
        self._clock = clock

    async def run(self) -> int:
        """How many orders were ended. One that cannot be ended now, because somebody has locked it, keeps no other."""
        ended = 0
        overdue = await self._orders.overdue(self._clock.now() - AGE, MOST)
        for start in range(0, len(overdue), TOGETHER):
            orders = await self._orders.by_payments(overdue[start : start + TOGETHER])
            results = await asyncio.gather(*(self._expire(order) for order in orders), return_exceptions=True)
            for order, result in zip(orders, results, strict=True):
                if isinstance(result, BaseException):
                    log.warning("expiry_failed", order_id=order.order_id, cause=repr(result))
                else:
                    ended += result
        if ended:
            self._outbox.notify()
            self._payment_work.notify()
        return ended

    async def _expire(self, order: Order) -> bool:
        """False where the order has changed meanwhile, here or in another replica."""
        if order.state is not OrderState.PENDING:
            return False
        order.expire("service:order")
        return await self._orders.save(order)
