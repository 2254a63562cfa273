"""Events of the contract from domain events."""

from collections.abc import Callable

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from weft.api.v1.event_pb2 import Event
from weft.order.v1 import events_pb2 as pb
from weft.order.v1.fulfilment_pb2 import ShipmentLine
from weft.order.v1.money_pb2 import Money
from weft.order.v1.return_pb2 import ReturnLine

from chassis.clock import Clock
from chassis.queues import outbox
from chassis.security import modes
from chassis.times import timestamp
from services.order import messages
from services.order.domain.changes import DomainEvent
from services.order.domain.new_order import NewOrder
from services.order.domain.order import Order
from services.order.domain.returns import Return
from services.order.domain.states import FulfilmentState
from services.order.orders import document

_PLACED_URL = f"type.googleapis.com/{pb.OrderPlaced.DESCRIPTOR.full_name}"


def _total(order: Order | NewOrder) -> Money:
    return Money(amount_minor=order.total_minor, currency=order.currency)


def _amount(order: Order, event: DomainEvent) -> Money:
    return Money(amount_minor=event.amount_minor, currency=order.currency)


def _shipped(order: Order, event: DomainEvent) -> Message:
    assert event.shipment is not None
    return pb.OrderShipped(
        order_id=order.order_id,
        shipment=messages.shipment_to_message(document.shipment_to_json(event.shipment)),
        complete=order.fulfilment_state is not FulfilmentState.PARTIALLY_SHIPPED,
    )


def _delivered(order: Order, event: DomainEvent) -> Message:
    lines = [
        ShipmentLine(product_id=product, quantity=units, delivered_quantity=units)
        for product, units in event.units.items()
    ]
    complete = order.fulfilment_state not in (FulfilmentState.PARTIALLY_SHIPPED, FulfilmentState.SHIPPED)
    return pb.OrderDelivered(order_id=order.order_id, lines=lines, complete=complete)


def _return_requested(order: Order, event: DomainEvent) -> Message:
    made = _returned(event)
    lines = [ReturnLine(product_id=line.product_id, quantity=line.quantity) for line in made.lines]
    return pb.OrderReturnRequested(order_id=order.order_id, return_id=made.return_id, lines=lines)


def _return_received(order: Order, event: DomainEvent) -> Message:
    made = _returned(event)
    return pb.OrderReturnReceived(
        order_id=order.order_id,
        return_id=made.return_id,
        lines=[
            ReturnLine(product_id=product, quantity=units, received_quantity=units)
            for product, units in event.units.items()
        ],
        refund=_amount(order, event) if event.amount_minor else None,
        refund_id=event.refund_id,
        complete=not made.pending,
    )


def _returned(event: DomainEvent) -> Return:
    assert event.returned is not None
    return event.returned


_PAYLOADS: dict[str, Callable[[Order, DomainEvent], Message]] = {
    "order.confirmed": lambda o, _: pb.OrderConfirmed(order_id=o.order_id, total=_total(o)),
    "order.cancelled": lambda o, e: pb.OrderCancelled(order_id=o.order_id, reason=e.reason),
    "order.expired": lambda o, _: pb.OrderExpired(order_id=o.order_id),
    "order.updated": lambda o, e: pb.OrderUpdated(order_id=o.order_id, fields=e.fields),
    "order.shipped": _shipped,
    "order.delivered": _delivered,
    "order.completed": lambda o, _: pb.OrderCompleted(order_id=o.order_id, total=_total(o)),
    "order.return_requested": _return_requested,
    "order.return_approved": lambda o, e: pb.OrderReturnApproved(order_id=o.order_id, return_id=_returned(e).return_id),
    "order.return_refused": lambda o, e: pb.OrderReturnRefused(order_id=o.order_id, return_id=_returned(e).return_id),
    "order.return_received": _return_received,
    "payment.captured": lambda o, e: pb.PaymentCaptured(
        payment_id=o.payment.payment_id, order_id=o.order_id, amount=_amount(o, e)
    ),
    "payment.failed": lambda o, e: pb.PaymentFailed(
        payment_id=o.payment.payment_id,
        order_id=o.order_id,
        reason=e.reason,
        failure_code=messages.FAILURE_CODES[e.code],
    ),
    "payment.refunded": lambda o, e: pb.PaymentRefunded(
        payment_id=o.payment.payment_id, order_id=o.order_id, amount=_amount(o, e), refund_id=e.refund_id
    ),
    "payment.refund_failed": lambda o, e: pb.PaymentRefundFailed(
        payment_id=o.payment.payment_id,
        order_id=o.order_id,
        amount=_amount(o, e),
        refund_id=e.refund_id,
        reason=e.reason,
    ),
    "payment.action_required": lambda o, e: pb.PaymentActionRequired(
        payment_id=o.payment.payment_id, order_id=o.order_id, next_action=e.url
    ),
    "payment.charged_back": lambda o, e: pb.PaymentChargedBack(
        payment_id=o.payment.payment_id, order_id=o.order_id, amount=_amount(o, e)
    ),
    "payment.charge_back_reversed": lambda o, e: pb.PaymentChargeBackReversed(
        payment_id=o.payment.payment_id, order_id=o.order_id, amount=_amount(o, e)
    ),
}


def of_new(order: NewOrder, traceparent: str) -> Event:
    """The first event of an order, `order.placed`. Its id has the number of the order's."""
    payload = pb.OrderPlaced(order_id=order.order_id, total=_total(order))
    return Event(
        event_id=f"evt{order.order_id.removeprefix('ord')}",
        type=order.domain_event.type,
        aggregate_id=order.order_id,
        sequence=1,
        occur_time=timestamp(order.placed_at),
        actor=order.actor,
        user_id=order.customer_id,
        partner_id=order.partner_id,
        mode=modes.to_message(order.mode),
        traceparent=traceparent,
        payload=Any(type_url=_PLACED_URL, value=payload.SerializeToString()),
    )


def of(order: Order, clock: Clock, traceparent: str) -> list[Event]:
    """The events of a changed order, numbered after those emitted before."""
    return [
        outbox.event(
            clock,
            type=event.type,
            aggregate_id=order.order_id,
            sequence=order.event_count + number,
            payload=_PAYLOADS[event.type](order, event),
            actor=order.actor,
            user_id=order.customer_id,
            partner_id=order.partner_id,
            mode=order.mode,
            traceparent=traceparent,
        )
        for number, event in enumerate(order.domain_events, start=1)
    ]
