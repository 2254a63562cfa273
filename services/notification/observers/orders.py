"""Notifications of customers about their orders and payments."""

from typing import Any

from weft.api.v1.event_pb2 import Event
from weft.order.v1.events_pb2 import (
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderPlaced,
    PaymentFailed,
    PaymentRefunded,
)
from weft.order.v1.money_pb2 import Money

from services.notification.channels.channel import Channel
from services.notification.notifications.notification import Notification
from services.notification.observers.registry import observes

_INBOX = frozenset({Channel.INBOX})
_BOTH = frozenset({Channel.INBOX, Channel.EMAIL})


@observes("order.placed", OrderPlaced)
def notify_order_placed(event: Event, payload: OrderPlaced) -> Notification | None:
    """Inbox only: the mail waits for the payment."""
    return _notification(event, payload.order_id, _INBOX, total=_to_data(payload.total))


@observes("order.confirmed", OrderConfirmed)
def notify_order_confirmed(event: Event, payload: OrderConfirmed) -> Notification | None:
    """Paid, or certain to be."""
    return _notification(event, payload.order_id, _BOTH, total=_to_data(payload.total))


@observes("order.cancelled", OrderCancelled)
def notify_order_cancelled(event: Event, payload: OrderCancelled) -> Notification | None:
    """Mailed only where a person cancelled: where the platform did, the mail about the payment says so.

    The reason is free text, so it is not repeated.
    """
    return _notification(event, payload.order_id, _INBOX if event.actor.startswith("service:") else _BOTH)


@observes("order.expired", OrderExpired)
def notify_order_expired(event: Event, payload: OrderExpired) -> Notification | None:
    """Not paid in time."""
    return _notification(event, payload.order_id, _BOTH)


@observes("payment.failed", PaymentFailed)
def notify_payment_failed(event: Event, payload: PaymentFailed) -> Notification | None:
    """The provider refused."""
    return _notification(event, payload.order_id, _BOTH)


@observes("payment.refunded", PaymentRefunded)
def notify_payment_refunded(event: Event, payload: PaymentRefunded) -> Notification | None:
    """With the amount that was refunded."""
    return _notification(event, payload.order_id, _BOTH, amount=_to_data(payload.amount))


def _notification(event: Event, order_id: str, channels: frozenset[Channel], **data: Any) -> Notification | None:
    """A notification of the event's own type to its customer; None where there is no customer."""
    if not event.user_id:
        return None
    return Notification(event.type, event.user_id, order_id, channels, {"order_id": order_id, **data})


def _to_data(money: Money) -> dict[str, Any]:
    return {"amount_minor": money.amount_minor, "currency": money.currency}
