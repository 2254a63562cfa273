"""The payment saga: authorize, confirm, capture, refund; or, for an order that has ended, reverse.

Each step is derived from the stored states, calls the provider with an idempotency key, and is written only if the order
has not changed since. So a job may be delivered twice, to two workers concurrently, or again after a crash at any line,
and the money moves once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import NamedTuple, ParamSpec, TypeVar

from prometheus_client import Counter
from weft_client.calls.breaker import Breaker, BreakerOpen

from chassis.faults import catalogue, switches
from chassis.queues.queue import Job
from chassis.security.modes import LIVE, TEST
from chassis.telemetry.logs import logger
from chassis.telemetry.tracing import Tracer
from services.order.domain.changes import Step
from services.order.domain.order import Order
from services.order.domain.states import PaymentState
from services.order.orders.repository import OrderRepository
from services.order.payments.gateways.gateway import (
    Charge,
    ChargeState,
    Gateway,
    GatewayTimeout,
    GatewayUnavailable,
)
from services.order.payments.outcomes import apply
from services.order.payments.repository import PaymentRepository

log = logger("payments")
PAYMENTS = Counter(
    "weft_payments",
    "Payments by what became of them: the state that a step led to, or why it led to none.",
    ["mode", "outcome"],
)
P = ParamSpec("P")
Answer = TypeVar("Answer")
FIND = "find"
"""The kind of a job that asks the provider for the charge, because it may have changed there."""
ACTOR = "service:order"
FAULT_SILENCE_S = 5.0
LOCKED_RETRY_DELAY = timedelta(seconds=0.5)
_MAX_STEPS = 10
"""More than any payment takes: a loop that does not end is a defect."""


class Provider(NamedTuple):
    """A payment provider, with the circuit breaker that guards it."""

    gateway: Gateway
    breaker: Breaker

    async def call(self, method: Callable[P, Awaitable[Answer]], *values: P.args, **named: P.kwargs) -> Answer:
        """Call a method of the gateway. Raises `BreakerOpen` if the circuit breaker is open."""
        self.breaker.acquire()
        try:
            if switches.on(catalogue.PROVIDER_SILENT):
                await asyncio.sleep(FAULT_SILENCE_S)
                raise GatewayTimeout
            answer = await method(*values, **named)
        except (GatewayTimeout, GatewayUnavailable):
            self.breaker.failed()
            raise
        except BaseException:
            self.breaker.cancelled()
            raise
        self.breaker.succeeded()
        return answer


class PaymentWorker:
    """The handler of the payment queue; the payload of a job is the id of a payment."""

    def __init__(
        self,
        payments: PaymentRepository,
        orders: OrderRepository,
        live: Provider,
        test: Provider,
        tracer: Tracer,
    ) -> None:
        """`live` and `test`: the providers of orders by their mode."""
        self._payments = payments
        self._orders = orders
        self._live = live
        self._test = test
        self._tracer = tracer
        for state in (PaymentState.AUTHORIZED, PaymentState.FAILED):
            PAYMENTS.labels(LIVE, state)  # from zero on: the first ones are an increase, which an alert asks for

    async def __call__(self, jobs: Sequence[Job]) -> None:
        """Advance each payment as far as possible; jobs of the same payment together."""
        by_id: dict[str, list[Job]] = {}
        for job in jobs:
            by_id.setdefault(job.payload.decode(), []).append(job)
        free = await self._payments.mark_contacted(sorted(by_id))
        orders = {order.payment.payment_id: order for order in await self._orders.list_by_payments(by_id)}
        for payment_id in orders.keys() - free:
            for job in by_id.pop(payment_id):
                job.retry("locked by another transaction", LOCKED_RETRY_DELAY)
        for payment_id in by_id.keys() - orders.keys():
            for job in by_id.pop(payment_id):
                job.dead("no such payment")
        await asyncio.gather(*(self._settle(orders[payment_id], same) for payment_id, same in by_id.items()))

    async def _settle(self, order: Order, jobs: Sequence[Job]) -> None:
        try:
            with self._tracer.span("settle payment", parent=jobs[0].traceparent):
                unfinished = await self._advance(order, find=any(job.kind == FIND for job in jobs))
            for job in jobs if unfinished else ():
                job.retry(unfinished)
        except (GatewayUnavailable, BreakerOpen):
            PAYMENTS.labels(order.mode, "PROVIDER_UNAVAILABLE").inc()
            for job in jobs:
                job.defer("the provider is unavailable")
        except GatewayTimeout:
            PAYMENTS.labels(order.mode, "PROVIDER_SILENT").inc()
            for job in jobs:
                job.retry("the provider did not respond")
        except Exception as error:
            # The failure of one payment does not fail its batch.
            log.warning("payment_failed", payment_id=order.payment.payment_id, cause=repr(error))
            for job in jobs:
                job.retry(type(error).__name__)

    async def _advance(self, order: Order, find: bool) -> str:
        """Why another attempt is needed; empty if the payment needs nothing now."""
        charge = await self._find(order) if find and not order.payment.by_hand else None
        for _ in range(_MAX_STEPS):
            if charge is not None and apply(charge, order, ACTOR):
                order, charge = await self._write(order, charge)
                continue
            step = order.next_step()
            if step is Step.NONE:
                return ""
            if step is Step.REFUND:
                order = await self._refund(order)
                charge = None
                continue
            charge = await self._take(step, order)
            if not apply(charge, order, ACTOR):
                return f"the charge is {charge.state}"
            order, charge = await self._write(order, charge)
        return "too many steps"

    async def _write(self, order: Order, charge: Charge | None) -> tuple[Order, Charge | None]:
        """The order and its charge, from which more may follow; if another change came first, the order as it is now."""
        reached = [*(change.payment_state for change in order.earlier), order.payment.state]
        if await self._orders.update(order):
            for state in reached:
                PAYMENTS.labels(order.mode, state).inc()
            return order, charge
        (order,) = await self._orders.list_by_payments([order.payment.payment_id])
        return order, None

    async def _find(self, order: Order) -> Charge:
        provider = self._provider(order)
        return await provider.call(provider.gateway.find, order.payment)

    async def _take(self, step: Step, order: Order) -> Charge:
        provider = self._provider(order)
        (gateway, _), payment, call = provider, order.payment, provider.call
        if switches.on(catalogue.PROVIDER_DECLINES) and step in (Step.AUTHORIZE, Step.FIND):
            return Charge(ChargeState.DECLINED, catalogue.PROVIDER_DECLINES)
        if step is Step.CAPTURE:
            return await call(gateway.capture, payment, payment.to_capture_minor)
        if step is Step.REVERSE:
            return await call(gateway.reverse, payment)
        if step is Step.FIND:
            charge = await call(gateway.find, payment)
            # Repeated with its key, a call that never arrived takes effect, and one that did takes none.
            return charge if charge.state is not ChargeState.UNKNOWN else await call(gateway.authorize, payment)
        try:
            return await call(gateway.confirm if step is Step.CONFIRM else gateway.authorize, payment)
        except GatewayTimeout:
            order.wait(ACTOR)
            await self._orders.update(order)
            raise

    async def _refund(self, order: Order) -> Order:
        provider, refund = self._provider(order), order.payment.refund
        assert refund is not None, "the step is REFUND"
        made = await provider.call(provider.gateway.refund, order.payment, refund)
        PAYMENTS.labels(order.mode, "REFUND_MADE" if made.made else "REFUND_REFUSED").inc()
        if made.made:
            order.settle_refund(made.reference, ACTOR)
        else:
            order.drop_refund(made.reason, ACTOR)
        await self._orders.update(order)
        (order,) = await self._orders.list_by_payments([order.payment.payment_id])
        return order  # with the next refund, if there is one

    def _provider(self, order: Order) -> Provider:
        return self._test if order.mode == TEST else self._live
