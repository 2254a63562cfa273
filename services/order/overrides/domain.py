"""What operators book of an order that was paid by bank transfer, or paid back so."""

from services.order.domain.changes import DomainEvent, RefundChange, RefundState
from services.order.domain.order import Order
from services.order.domain.payment import BY_HAND
from services.order.domain.refusals import PaymentNotConfirmable, PaymentNotRefundable
from services.order.domain.states import OrderState


def mark_paid(order: Order, reference: str, reason: str, actor: str) -> None:
    """It was paid by bank transfer while it is PENDING. Raises as `Payment.mark_paid`."""
    if order.state is not OrderState.PENDING:
        raise PaymentNotConfirmable(payment_id=order.payment.payment_id, state=order.payment.state)
    order.payment.mark_paid(reference)
    order.move(OrderState.CONFIRMED)
    captured = DomainEvent("payment.captured", amount_minor=order.payment.captured_minor)
    order.reason = ""
    order.record(actor, DomainEvent("order.confirmed"), captured, cause=reason)


def record_refund(order: Order, refund_id: str, amount_minor: int, reference: str, reason: str, actor: str) -> None:
    """What came by bank transfer went back so: for the refund that waits for it, or as one of its own.

    Raises `PaymentNotRefundable` for what a provider collected: it gives it back itself. Otherwise as `request_refund`.
    """
    payment, waiting = order.payment, order.payment.refund
    if not payment.by_hand:
        raise PaymentNotRefundable(payment_id=payment.payment_id, state=payment.state)
    if waiting is None or amount_minor not in (0, waiting.amount_minor):
        order.request_refund(refund_id, amount_minor, reason, actor)
        assert order.refund_change is not None
        waiting = order.refund_change.refund
        order.version -= 1  # one change with what follows
    order.payment.settle_refund(waiting, f"{BY_HAND}{reference}")
    order.refund_change = RefundChange(waiting, RefundState.SUCCEEDED, reason, actor)
    event = DomainEvent("payment.refunded", amount_minor=waiting.amount_minor, refund_id=waiting.refund_id)
    order.record(actor, event, cause=reason)
