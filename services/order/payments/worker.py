"""The payment saga: authorise, confirm, capture; or, for an order that has ended, give back.

Each step is read from what is written, asks the provider under a key that it knows again, and writes the answer only
if nothing else has changed the order since. So a job may be delivered twice, to two workers at once, or again after a
crash at any line, and the money moves once.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from chassis.queues.outbox import Outbox
from chassis.queues.queue import Job
from chassis.telemetry.logs import logger
from chassis.telemetry.tracing import Tracer
from services.order.domain.order import Order, OrderState, Step
from services.order.domain.payment import PaymentState
from services.order.orders.repository import OrderRepository
from services.order.payments.gateways.gateway import Charge, ChargeState, Gateway, GatewayTimeout
from services.order.payments.repository import PaymentRepository

log = logger("payments")
ACTOR = "service:order"
LOCKED = timedelta(seconds=0.5)
"""After which a payment is tried again that somebody else had locked."""
_MOST_STEPS = 10
"""More than any payment takes; a loop that does not end is a fault."""


class PaymentWorker:
    """Handles the jobs of the payment queue; a job's payload is a payment's id."""

    def __init__(
        self, payments: PaymentRepository, orders: OrderRepository, gateway: Gateway, outbox: Outbox, tracer: Tracer
    ) -> None:
        self._payments = payments
        self._orders = orders
        self._gateway = gateway
        self._outbox = outbox
        self._tracer = tracer

    async def __call__(self, jobs: Sequence[Job]) -> None:
        """Bring each payment as far as it goes."""
        by_id = {job.payload.decode(): job for job in jobs}
        free = await self._payments.ask(sorted(by_id))
        orders = {order.payment.payment_id: order for order in await self._orders.by_payments(list(by_id))}
        for payment_id in orders.keys() - free:
            by_id.pop(payment_id).retry("somebody else changes it", LOCKED)  # and the others do not wait for it
        for payment_id in by_id.keys() - orders.keys():
            by_id.pop(payment_id).dead("no such payment")
        await asyncio.gather(*(self._settle(orders[payment_id], job) for payment_id, job in by_id.items()))

    async def _settle(self, order: Order, job: Job) -> None:
        try:
            with self._tracer.span("settle payment", parent=job.traceparent):
                await self._advance(order, job)
        except GatewayTimeout:
            job.retry("the provider did not answer")
        except Exception as error:
            # One payment's trouble is not its batch's.
            log.warning("payment_failed", payment_id=order.payment.payment_id, cause=repr(error))
            job.retry(type(error).__name__)

    async def _advance(self, order: Order, job: Job) -> None:
        for _ in range(_MOST_STEPS):
            step = order.next_step()
            if step is Step.NOTHING:
                return
            charge = await self._ask(step, order)
            if not _apply(charge, order):
                job.retry(f"the provider says {charge.state}")
                return
            if await self._orders.save(order):
                self._outbox.notify()
            else:
                (order,) = await self._orders.by_payments([order.payment.payment_id])
        job.retry("too many steps")

    async def _ask(self, step: Step, order: Order) -> Charge:
        gateway, payment = self._gateway, order.payment
        if step is Step.FIND:
            return await gateway.find(payment)
        if step is Step.CAPTURE:
            return await gateway.capture(payment)
        if step is Step.GIVE_BACK:
            return await gateway.give_back(payment)
        try:
            return await gateway.authorise(payment)
        except GatewayTimeout:
            order.wait(ACTOR)
            if await self._orders.save(order):
                self._outbox.notify()  # for those who watch
            raise


def _apply(charge: Charge, order: Order) -> bool:
    """Move the order as the provider's answer says; False where the answer decides nothing yet."""
    if order.open:
        if charge.state is ChargeState.DECLINED:
            order.fail(charge.reason, charge.code, ACTOR)
        elif charge.state is ChargeState.CAPTURED and order.payment.state is PaymentState.AUTHORIZED:
            order.capture(ACTOR)
        elif charge.state in (ChargeState.AUTHORISED, ChargeState.CAPTURED) and order.state is OrderState.PENDING:
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
