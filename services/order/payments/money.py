"""The RPCs that move the money of a payment, and the one that lists what moved.

Each changes the locked order and is answered; the payment worker then calls the provider.
"""

from collections.abc import Callable
from dataclasses import replace

from weft.order.v1 import payment_pb2
from weft.order.v1 import payment_service_pb2 as pb
from weft.order.v1.money_pb2 import Money

from chassis import ids
from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.storage.database import Database, Row
from chassis.times import timestamp
from contract import Caller
from services.order.domain.order import Order
from services.order.domain.refusals import PaymentNotFound
from services.order.orders.repository import OrderRepository
from services.order.ownership import Owner, owner_of
from services.order.payments import handlers
from services.order.payments.repository import PaymentRepository

_KINDS = {name.removeprefix("MOVEMENT_KIND_"): number for name, number in payment_pb2.MovementKind.items()}


class MoneyHandlers:
    """The part of weft.order.v1.PaymentService that moves money."""

    def __init__(
        self, database: Database, payments: PaymentRepository, orders: OrderRepository, pages: Pages, clock: Clock
    ) -> None:
        self._database = database
        self._payments = payments
        self._orders = orders
        self._pages = pages
        self._clock = clock

    async def ConfirmPayment(self, request: pb.ConfirmPaymentRequest, call: Call) -> payment_pb2.Payment:
        """An operator confirms only what they pay themselves."""
        payer = replace(call.caller, kinds=call.caller.kinds - {Caller.OPERATOR})
        return await self._change(
            request.payment_id, call, lambda order: order.act(request.payment_method, payer.actor), owner_of(payer)
        )

    async def CapturePayment(self, request: pb.CapturePaymentRequest, call: Call) -> payment_pb2.Payment:
        actor = call.caller.actor
        return await self._change(
            request.payment_id, call, lambda order: order.request_capture(request.amount_minor, actor)
        )

    async def RefundPayment(self, request: pb.RefundPaymentRequest, call: Call) -> payment_pb2.Payment:
        actor, refund_id = call.caller.actor, ids.new("ref", self._clock.now())
        return await self._change(
            request.payment_id,
            call,
            lambda order: order.request_refund(refund_id, request.amount_minor, request.reason, actor),
        )

    async def ListMovements(self, request: pb.ListMovementsRequest, call: Call) -> pb.ListMovementsResponse:
        owner = owner_of(call.caller)
        query = {"list": "movements", "owner": owner, "payment": request.payment_id}
        page = self._pages.read(request, query, start="0")
        if await self._payments.get(owner, request.payment_id) is None:
            raise PaymentNotFound(payment_id=request.payment_id)
        rows = await self._payments.list_movements(owner, request.payment_id, page.limit, int(page.after))
        movements, token = self._pages.split(page, rows, movement_to_message, key="movement_id")
        return pb.ListMovementsResponse(movements=movements, next_page_token=token)

    async def _change(
        self, payment_id: str, call: Call, change: Callable[[Order], None], owner: Owner | None = None
    ) -> payment_pb2.Payment:
        async with self._database.transaction() as tx:
            order = await self._orders.lock_by_payment(tx, owner or owner_of(call.caller), payment_id)
            if order is None:
                raise PaymentNotFound(payment_id=payment_id)
            change(order)
            await self._orders.update(order, tx)
            reply = handlers.to_message(await self._payments.get_updated(tx, payment_id))
            await call.remember(tx, reply)
        return reply


def movement_to_message(row: Row) -> payment_pb2.Movement:
    """From a row of the ledger; the amount is in the smallest unit of the currency."""
    return payment_pb2.Movement(
        movement_id=str(row.movement_id),
        kind=_KINDS[row.kind],
        amount=Money(amount_minor=row.amount_minor, currency=row.currency),
        provider_reference=row.provider_reference,
        attempt=row.attempt,
        create_time=timestamp(row.created_at),
    )
