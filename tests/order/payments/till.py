"""The payment worker of a shop, run by hand, and a provider whose caller dies on demand."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from weft.order.v1 import order_pb2
from weft_client.calls.breaker import Breaker

from chassis.queues.queue import Queue
from chassis.storage.database import Query, Transaction
from services.order.domain.order import Order
from services.order.domain.payment import Payment, Refund
from services.order.orders.expiry import Expiry
from services.order.orders.repository import OrderRepository
from services.order.payments.gateways.gateway import Charge, GatewayUnavailable, ProviderRefund
from services.order.payments.gateways.sandbox import Sandbox
from services.order.payments.repository import PaymentRepository
from services.order.payments.worker import PaymentWorker, Provider
from tests.order.shop import Shop

PENDING, CONFIRMED, CANCELLED, EXPIRED = (
    order_pb2.ORDER_STATE_PENDING,
    order_pb2.ORDER_STATE_CONFIRMED,
    order_pb2.ORDER_STATE_CANCELLED,
    order_pb2.ORDER_STATE_EXPIRED,
)
NOT_ASKED, CAPTURED, REFUNDED, FAILED, VOIDED, PROCESSING, AUTHORIZED, ACTION_REQUIRED, PARTIAL, CHARGED_BACK = (
    order_pb2.PAYMENT_STATE_PENDING,
    order_pb2.PAYMENT_STATE_CAPTURED,
    order_pb2.PAYMENT_STATE_REFUNDED,
    order_pb2.PAYMENT_STATE_FAILED,
    order_pb2.PAYMENT_STATE_VOIDED,
    order_pb2.PAYMENT_STATE_PROCESSING,
    order_pb2.PAYMENT_STATE_AUTHORIZED,
    order_pb2.PAYMENT_STATE_ACTION_REQUIRED,
    order_pb2.PAYMENT_STATE_PARTIALLY_REFUNDED,
    order_pb2.PAYMENT_STATE_CHARGED_BACK,
)


MAX_PENDING_TIME = timedelta(minutes=30)
"""How long an order waits for its payment where nothing is set."""


class Killed(BaseException):
    """A process ends here, as with kill -9: no handler sees it."""


class Mortal(Sandbox):
    """The sandbox, and a process that dies before or after one of its calls, or is overtaken before it writes the answer."""

    dies = ""
    meanwhile: Callable[[], Awaitable[object]] | None = None
    away = False

    async def authorize(self, payment: Payment) -> Charge:
        return await self._die_around("authorize", super().authorize(payment))

    async def confirm(self, payment: Payment) -> Charge:
        return await self._die_around("confirm", super().confirm(payment))

    async def capture(self, payment: Payment, amount_minor: int) -> Charge:
        return await self._die_around("capture", super().capture(payment, amount_minor))

    async def refund(self, payment: Payment, refund: Refund) -> ProviderRefund:
        return await self._die_around("refund", super().refund(payment, refund))

    async def reverse(self, payment: Payment) -> Charge:
        return await self._die_around("reverse", super().reverse(payment))

    async def _die_around(self, name: str, call):
        if self.away:
            call.close()
            raise GatewayUnavailable
        if self.dies == f"before {name}":
            call.close()
            raise Killed
        charge = await call
        if self.meanwhile is not None:
            overtake, self.meanwhile = self.meanwhile, None
            await overtake()
        if self.dies == f"after {name}":
            raise Killed
        return charge


class MortalOrders(OrderRepository):
    """Orders, and a process that dies before or after it writes one."""

    dies = ""

    async def update(self, order: Order, tx: Transaction | None = None) -> bool:
        if self.dies == "before update":
            raise Killed
        updated = await super().update(order, tx)
        if self.dies == "after update":
            raise Killed
        return updated


class Till:
    """The payment worker of a quiet shop, run by hand."""

    def __init__(self, shop: Shop) -> None:
        app = shop.app
        self.shop = shop
        self.queue = Queue(app.database, app.metadata.tables["payment_work"], app.clock, lease=30)
        self.sandbox = Mortal(app.database, app.clock, self.queue)
        self.orders = MortalOrders(app.database, app.clock, app.outbox, self.queue, app.tracer, app.vault)
        self.breaker = Breaker("payment provider", failures=2, first_pause_s=0.0)
        payments = PaymentRepository(app.database)
        provider = Provider(self.sandbox, self.breaker)
        self.worker = PaymentWorker(payments, self.orders, provider, provider, app.tracer)
        self.expiry = Expiry(self.orders, app.clock, MAX_PENDING_TIME)

    async def run(self) -> int:
        """Everything that is due, once."""
        done = 0
        for lease in (lambda: self.queue.lease(100), self.queue.lease_suspect):
            while jobs := await lease():
                await self.worker(jobs)
                await self.queue.finish(jobs)
                done += len(jobs)
        return done

    async def die(self, where: str) -> None:
        """Run until the process ends at a place; its leases stay behind."""
        self.sandbox.dies = self.orders.dies = where
        jobs = await self.queue.lease(100)
        with pytest.raises(Killed):
            await self.worker(jobs)
        self.sandbox.dies = self.orders.dies = ""

    async def charges(self) -> list[str]:
        """The states of all charges at the provider."""
        return [
            row.state for row in await self.shop.database.all(Query("SELECT state FROM sandbox_charges ORDER BY key"))
        ]
