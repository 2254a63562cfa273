"""What an order tells the world: facts of the domain as events of the contract."""

from collections.abc import Callable

from google.protobuf.message import Message
from weft.api.v1.event_pb2 import Event
from weft.order.v1 import events_pb2
from weft.order.v1.money_pb2 import Money

from chassis.clock import Clock
from chassis.queues import outbox
from services.order import messages
from services.order.domain.order import Fact, Order


def _total(order: Order) -> Money:
    return Money(amount_minor=order.total_minor, currency=order.currency)


def _moved(order: Order, fact: Fact) -> Money:
    return Money(amount_minor=fact.amount_minor, currency=order.currency)


_PAYLOADS: dict[str, Callable[[Order, Fact], Message]] = {
    "order.confirmed": lambda o, _: events_pb2.OrderConfirmed(order_id=o.order_id, total=_total(o)),
    "order.cancelled": lambda o, f: events_pb2.OrderCancelled(order_id=o.order_id, reason=f.reason),
    "order.expired": lambda o, _: events_pb2.OrderExpired(order_id=o.order_id),
    "payment.captured": lambda o, f: events_pb2.PaymentCaptured(
        payment_id=o.payment.payment_id, order_id=o.order_id, amount=_moved(o, f)
    ),
    "payment.failed": lambda o, f: events_pb2.PaymentFailed(
        payment_id=o.payment.payment_id,
        order_id=o.order_id,
        reason=f.reason,
        failure_code=messages.FAILURE_CODES[f.code],
    ),
    "payment.refunded": lambda o, f: events_pb2.PaymentRefunded(
        payment_id=o.payment.payment_id, order_id=o.order_id, amount=_moved(o, f)
    ),
}


def of(order: Order, clock: Clock, traceparent: str) -> list[Event]:
    """The events of an order's unsaved facts, numbered on from those it has had."""
    return [
        outbox.event(
            clock,
            type=fact.type,
            aggregate_id=order.order_id,
            sequence=order.events + number,
            payload=_PAYLOADS[fact.type](order, fact),
            actor=order.actor,
            user_id=order.customer_id,
            partner_id=order.partner_id,
            traceparent=traceparent,
        )
        for number, fact in enumerate(order.facts, start=1)
    ]
