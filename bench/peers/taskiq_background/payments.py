"""The payment step: authorize and confirm, capture; each repeatable, whichever line a worker died at."""

from datetime import UTC, datetime

from opentelemetry.propagate import inject
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bench.peers.database import Sessions
from bench.peers.models import Order, OrderEvent, OrderLine, OutboxMessage, Payment, Product
from bench.peers.taskiq_background.tables import Charge
from chassis import ids

ACTOR = "service:order"
PENDING, AUTHORIZED, CAPTURED, FAILED = (
    f"PAYMENT_STATE_{name}" for name in ("PENDING", "AUTHORIZED", "CAPTURED", "FAILED")
)


class Sandbox:
    """A provider that moves no money and knows its charges by the payment's id."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def authorize(self, payment: Payment) -> bool:
        """Whether the amount is reserved; the same answer however often it is asked."""
        if payment.method != "pm_sandbox_ok":
            return False
        values = {
            "payment_id": payment.payment_id,
            "state": "AUTHORIZED",
            "amount_minor": payment.amount_minor,
            "currency": payment.currency,
            "create_time": datetime.now(UTC),
        }
        async with self._sessions() as session:
            await session.execute(insert(Charge).values(values).on_conflict_do_nothing())
        return True

    async def capture(self, payment: Payment) -> None:
        """Takes the amount."""
        async with self._sessions() as session:
            await session.execute(
                update(Charge).where(Charge.payment_id == payment.payment_id).values(state="CAPTURED")
            )


async def settle(writes: Sessions, reads: Sessions, order_id: str) -> None:
    """Advances the order's payment as far as it goes."""
    sandbox = Sandbox(reads)
    async with reads() as session:
        payment = (await session.scalars(select(Payment).where(Payment.order_id == order_id))).one()
    if payment.state == PENDING:
        authorized = await sandbox.authorize(payment)
        payment = await _move(writes, order_id, PENDING, AUTHORIZED if authorized else FAILED)
    if payment.state == AUTHORIZED:
        await sandbox.capture(payment)
        await _move(writes, order_id, AUTHORIZED, CAPTURED)


async def _move(writes: Sessions, order_id: str, before: str, after: str) -> Payment:
    """Writes the step, unless another worker has."""
    query = select(Order, Payment).join(Payment, Payment.order_id == Order.order_id).where(Order.order_id == order_id)
    async with writes.begin() as session:
        order, payment = (await session.execute(query.with_for_update())).one()
        if payment.state != before:
            return payment
        order.payment_state = payment.state = after
        order.update_time = payment.update_time = datetime.now(UTC)
        if after == AUTHORIZED:
            order.state = "ORDER_STATE_CONFIRMED"
            _record(session, order, "order.confirmed", 2)
        elif after == CAPTURED:
            _record(session, order, "payment.captured", 3)
        else:
            order.state = "ORDER_STATE_CANCELLED"
            await _restock(session, order_id)
            _record(session, order, "payment.failed", 2)
    return payment


async def _restock(session: AsyncSession, order_id: str) -> None:
    lines = await session.scalars(
        select(OrderLine).where(OrderLine.order_id == order_id).order_by(OrderLine.product_id)
    )
    for line in lines:
        statement = update(Product).where(Product.product_id == line.product_id)
        await session.execute(statement.values(stock=Product.stock + line.quantity))


def _record(session: AsyncSession, order: Order, kind: str, sequence: int) -> None:
    event_id, now = ids.new("evt"), order.update_time
    headers: dict[str, str] = {}
    inject(headers)
    payload = {
        "event_id": event_id,
        "type": kind,
        "aggregate_id": order.order_id,
        "sequence": sequence,
        "actor": ACTOR,
        "user_id": order.customer_id,
        "partner_id": order.partner_id,
        "total": {"amount_minor": order.total_minor, "currency": order.currency},
    }
    session.add_all(
        [
            OrderEvent(
                event_id=event_id, order_id=order.order_id, sequence=sequence, type=kind, actor=ACTOR, occur_time=now
            ),
            OutboxMessage(kind=kind, payload=payload, traceparent=headers.get("traceparent", ""), due=now),
        ]
    )
