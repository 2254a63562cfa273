"""Expires orders that were not paid in time."""

import asyncio
from datetime import timedelta

from chassis.clock import Clock
from chassis.telemetry.logs import logger
from services.order.domain.order import Order
from services.order.domain.states import OrderState
from services.order.orders.repository import OrderRepository

log = logger("expiry")
MAX_ORDERS_PER_RUN = 500
BATCH_SIZE = 50
"""Orders that are read and updated together."""


class Expiry:
    """A scheduled job: expires overdue orders, releases their stock, and has their payments reversed."""

    def __init__(self, orders: OrderRepository, clock: Clock, max_pending_time: timedelta) -> None:
        """`max_pending_time`: how long an order may be PENDING."""
        self._orders = orders
        self._max_pending_time = max_pending_time
        self._clock = clock

    async def run(self) -> int:
        """The number of orders expired. One that is locked by another transaction delays no other."""
        expired = 0
        overdue = await self._orders.list_overdue(self._clock.now() - self._max_pending_time, MAX_ORDERS_PER_RUN)
        for start in range(0, len(overdue), BATCH_SIZE):
            orders = await self._orders.list_by_payments(overdue[start : start + BATCH_SIZE])
            results = await asyncio.gather(*(self._expire(order) for order in orders), return_exceptions=True)
            for order, result in zip(orders, results, strict=True):
                if isinstance(result, BaseException):
                    log.warning("expiry_failed", order_id=order.order_id, cause=repr(result))
                else:
                    expired += result
        return expired

    async def _expire(self, order: Order) -> bool:
        """False if the order has changed in between, here or in another replica."""
        if order.state is not OrderState.PENDING:
            return False
        order.expire("service:order")
        return await self._orders.update(order)
