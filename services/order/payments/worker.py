"""The payment saga: authorize, confirm, capture; or, for an order that has ended, reverse.

Each step is derived from the stored states, calls the provider with an idempotency key, and is written only if the order
has not changed since. So a job may be delivered twice, to two workers concurrently, or again after a crash at any line,
and the money moves once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from weft_client.calls.breaker import Breaker, BreakerOpen

from chassis.queues.queue import Job
from chassis.telemetry.logs import logger
from chassis.telemetry.tracing import Tracer
from services.order.domain.order import Order, Step
from services.order.domain.payment import Payment
from services.order.domain.states import OrderState, PaymentState
from services.order.orders.repository import OrderRepository
from services.order.payments.gateways.gateway import (
    Charge,
    ChargeState,
    Gateway,
    GatewayTimeout,
    GatewayUnavailable,
)
from services.order.payments.repository import PaymentRepository

log = logger("payments")
ACTOR = "service:order"
LOCKED_RETRY_DELAY = timedelta(seconds=0.5)
_MAX_STEPS = 10
"""More than any payment takes: a loop that does not end is a defect."""


class PaymentWorker:
    """The handler of the payment queue; the payload of a job is the id of a payment."""

    def __init__(
        self,
        payments: PaymentRepository,
        orders: OrderRepository,
        gateway: Gateway,
        breaker: Breaker,
        tracer: Tracer,
    ) -> None:
        """`breaker`: the circuit breaker of the provider; give it to the `Worker` too."""
        self._payments = payments
        self._orders = orders
        self._gateway = gateway
        self._breaker = breaker
        self._tracer = tracer

    async def __call__(self, jobs: Sequence[Job]) -> None:
        """Advance each payment as far as possible."""
        by_id = {job.payload.decode(): job for job in jobs}
        free = await self._payments.mark_contacted(sorted(by_id))
        orders = {order.payment.payment_id: order for order in await self._orders.list_by_payments(by_id)}
        for payment_id in orders.keys() - free:
            by_id.pop(payment_id).retry("locked by another transaction", LOCKED_RETRY_DELAY)
        for payment_id in by_id.keys() - orders.keys():
            by_id.pop(payment_id).dead("no such payment")
        await asyncio.gather(*(self._settle(orders[payment_id], job) for payment_id, job in by_id.items()))

    async def _settle(self, order: Order, job: Job) -> None:
        try:
            with self._tracer.span("settle payment", parent=job.traceparent):
                await self._advance(order, job)
        except (GatewayUnavailable, BreakerOpen):
            job.defer("the provider is unavailable")
        except GatewayTimeout:
            job.retry("the provider did not respond")
        except Exception as error:
            # The failure of one payment does not fail its batch.
            log.warning("payment_failed", payment_id=order.payment.payment_id, cause=repr(error))
            job.retry(type(error).__name__)

    async def _advance(self, order: Order, job: Job) -> None:
        for _ in range(_MAX_STEPS):
            step = order.next_step()
            if step is Step.NONE:
                return
            charge = await self._take(step, order)
            if not _apply(charge, order):
                job.retry(f"the charge is {charge.state}")
                return
            if not await self._orders.update(order):
                (order,) = await self._orders.list_by_payments([order.payment.payment_id])
        job.retry("too many steps")

    async def _take(self, step: Step, order: Order) -> Charge:
        gateway, payment = self._gateway, order.payment
        if step is Step.FIND:
            return await self._call(gateway.find, payment)
        if step is Step.CAPTURE:
            return await self._call(gateway.capture, payment)
        if step is Step.REVERSE:
            return await self._call(gateway.reverse, payment)
        try:
            return await self._call(gateway.authorize, payment)
        except GatewayTimeout:
            order.wait(ACTOR)
            await self._orders.update(order)
            raise

    async def _call(self, method: Callable[[Payment], Awaitable[Charge]], payment: Payment) -> Charge:
        """Call the provider. Raises `BreakerOpen` if its circuit breaker is open."""
        breaker = self._breaker
        breaker.acquire()
        try:
            charge = await method(payment)
        except (GatewayTimeout, GatewayUnavailable):
            breaker.failed()
            raise
        except BaseException:
            breaker.cancelled()
            raise
        breaker.succeeded()
        return charge


def _apply(charge: Charge, order: Order) -> bool:
    """Change the order as the charge says; False if the charge decides nothing yet."""
    if order.open:
        if charge.state is ChargeState.DECLINED:
            order.fail(charge.reason, charge.code, ACTOR)
        elif charge.state is ChargeState.CAPTURED and order.payment.state is PaymentState.AUTHORIZED:
            order.capture(ACTOR)
        elif charge.state in (ChargeState.AUTHORIZED, ChargeState.CAPTURED) and order.state is OrderState.PENDING:
            order.confirm(ACTOR)
        else:
            return False
    elif charge.state is ChargeState.REFUNDED:
        order.refund(ACTOR)
    elif charge.state in (ChargeState.VOIDED, ChargeState.DECLINED):
        order.void(ACTOR)
    else:
        return False
    return True
