"""How the goods of an order move: they are shipped, delivered and sent back. Each is a change of an order with its units."""

from dataclasses import replace
from datetime import datetime

from services.order.domain.changes import DomainEvent, RefundChange, RefundState
from services.order.domain.fulfilment import Quantities
from services.order.domain.order import ALL_DELIVERED, Order
from services.order.domain.refusals import OrderAlreadyShipped, OrderNotShippable, PaymentNotRefundable
from services.order.domain.returns import Return, ReturnState
from services.order.domain.states import SHIPPABLE_WITH, FulfilmentState, OrderState, PaymentState

_ALL_SHIPPED = (FulfilmentState.SHIPPED, *ALL_DELIVERED)


def ship(
    order: Order, shipment_id: str, units: Quantities, carrier: str, tracking_number: str, actor: str, now: datetime
) -> None:
    """Units have left; all that remain if `units` is empty. Raises `OrderNotShippable`, or as `Fulfilment.ship`."""
    if order.state is not OrderState.CONFIRMED or order.payment.state not in SHIPPABLE_WITH:
        if order.fulfilment_state in _ALL_SHIPPED:
            raise OrderAlreadyShipped(order_id=order.order_id)
        payment_state = order.payment.state.value
        raise OrderNotShippable(order_id=order.order_id, state=order.state, payment_state=payment_state)
    shipment = order.units.ship(shipment_id, units, carrier, tracking_number, now)
    order.fulfil()
    if order.payment.state is PaymentState.AUTHORIZED and not order.payment.to_capture_minor:
        order.payment.request_capture(0)
    order.record(actor, DomainEvent("order.shipped", shipment=shipment), wakes=True)


def deliver(order: Order, shipment_id: str, units: Quantities, actor: str, now: datetime) -> None:
    """Units have arrived: all that are on their way if `units` is empty. Raises as `Fulfilment.deliver`."""
    delivered = order.units.deliver(shipment_id, units, now)
    order.fulfil()
    order.record(actor, DomainEvent("order.delivered", units=delivered), *order.complete())


def request_return(order: Order, return_id: str, units: Quantities, reason: str, actor: str, now: datetime) -> None:
    """The buyer asks to send units back; all that can be if `units` is empty. Raises as `Returns.request`."""
    made = order.units.returns.request(return_id, units, order.units.delivered, reason, now)
    order.record(actor, DomainEvent("order.return_requested", reason, returned=made), cause=reason)


def decide_return(order: Order, return_id: str, state: ReturnState, reason: str, actor: str, now: datetime) -> None:
    """It was approved or refused. Raises as `Returns.decide`."""
    made = order.units.returns.decide(return_id, state, reason, now)
    order.record(actor, DomainEvent(f"order.return_{state.lower()}", reason, returned=made), cause=reason)


def receive_return(order: Order, return_id: str, units: Quantities, refund_id: str, actor: str, now: datetime) -> None:
    """Units have come back: what was paid for them is refunded. Raises as `Returns.receive` and `Payment.request_refund`."""
    made, order.restocked = order.units.returns.receive(return_id, units, now)
    order.fulfil()
    amount = _refund_returned(order, made, refund_id, actor)
    event = DomainEvent("order.return_received", amount_minor=amount, returned=made, units=order.restocked)
    order.record(actor, replace(event, refund_id=refund_id) if amount else event, wakes=True)


def _refund_returned(order: Order, made: Return, refund_id: str, actor: str) -> int:
    """What is refunded for the units that came back: their price, as far as it was paid and has not gone back already."""
    if order.payment.state is PaymentState.AUTHORIZED:  # the capture is on its way, and then this is possible
        raise PaymentNotRefundable(payment_id=order.payment.payment_id, state=order.payment.state)
    amount = min(order.units.paid_minor(order.restocked), order.payment.refundable_minor)
    if amount:
        refund = order.payment.request_refund(refund_id, amount)
        order.refund_change = RefundChange(refund, RefundState.PENDING, "returned", actor, made.return_id)
        made.refund_minor += amount
    return amount
