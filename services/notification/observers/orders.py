"""Notifications of customers about their orders and payments."""

from typing import Any

from weft.api.v1.event_pb2 import Event
from weft.order.v1.events_pb2 import (
    OrderCancelled,
    OrderConfirmed,
    OrderDelivered,
    OrderExpired,
    OrderPlaced,
    OrderReturnApproved,
    OrderReturnReceived,
    OrderReturnRefused,
    OrderReturnRequested,
    OrderShipped,
    OrderUpdated,
    PaymentActionRequired,
    PaymentFailed,
    PaymentRefunded,
)
from weft.order.v1.money_pb2 import Money

from services.notification.channels.channel import EVERYWHERE, Channel
from services.notification.notifications.notification import Notification
from services.notification.observers.registry import observes

_INBOX = frozenset({Channel.INBOX})


@observes("order.placed", OrderPlaced)
def notify_order_placed(event: Event, payload: OrderPlaced) -> Notification | None:
    """Inbox only: the mail waits for the payment."""
    return _notification(event, payload.order_id, _INBOX, total=_to_data(payload.total))


@observes("order.confirmed", OrderConfirmed)
def notify_order_confirmed(event: Event, payload: OrderConfirmed) -> Notification | None:
    """Paid, or certain to be."""
    return _notification(event, payload.order_id, EVERYWHERE, total=_to_data(payload.total))


@observes("order.cancelled", OrderCancelled)
def notify_order_cancelled(event: Event, payload: OrderCancelled) -> Notification | None:
    """Mailed only where a person cancelled: where the platform did, the mail about the payment says so.

    The reason is free text, so it is not repeated.
    """
    return _notification(event, payload.order_id, _INBOX if event.actor.startswith("service:") else EVERYWHERE)


@observes("order.expired", OrderExpired)
def notify_order_expired(event: Event, payload: OrderExpired) -> Notification | None:
    """Not paid in time."""
    return _notification(event, payload.order_id, EVERYWHERE)


@observes("order.updated", OrderUpdated)
def notify_order_updated(event: Event, payload: OrderUpdated) -> Notification | None:
    """Only where the goods go elsewhere: a warning, if it was somebody else."""
    return _notification(event, payload.order_id, _INBOX) if "shipping_address" in payload.fields else None


@observes("order.shipped", OrderShipped)
def notify_order_shipped(event: Event, payload: OrderShipped) -> Notification | None:
    """All that remained of it, or a part, with where to look after it."""
    shipment = {"carrier": payload.shipment.carrier, "tracking_number": payload.shipment.tracking_number}
    return _notification(event, payload.order_id, EVERYWHERE, complete=payload.complete, **shipment)


@observes("order.delivered", OrderDelivered)
def notify_order_delivered(event: Event, payload: OrderDelivered) -> Notification | None:
    """All of it, or a part."""
    return _notification(event, payload.order_id, EVERYWHERE, complete=payload.complete)


@observes("order.return_requested", OrderReturnRequested)
def notify_order_return_requested(event: Event, payload: OrderReturnRequested) -> Notification | None:
    """Received; the mail waits for the answer."""
    return _notification(event, payload.order_id, _INBOX)


@observes("order.return_approved", OrderReturnApproved)
def notify_order_return_approved(event: Event, payload: OrderReturnApproved) -> Notification | None:
    """Send it back."""
    return _notification(event, payload.order_id, EVERYWHERE)


@observes("order.return_refused", OrderReturnRefused)
def notify_order_return_refused(event: Event, payload: OrderReturnRefused) -> Notification | None:
    """Keep it. The reason is free text, so it is not repeated."""
    return _notification(event, payload.order_id, EVERYWHERE)


@observes("order.return_received", OrderReturnReceived)
def notify_order_return_received(event: Event, payload: OrderReturnReceived) -> Notification | None:
    """Inbox only: the mail waits for the refund."""
    amount = _to_data(payload.refund) if payload.HasField("refund") else None
    return _notification(event, payload.order_id, _INBOX, amount=amount)


@observes("payment.action_required", PaymentActionRequired)
def notify_payment_action_required(event: Event, payload: PaymentActionRequired) -> Notification | None:
    """For who has left the checkout. The link is the payer's own, so it is not repeated."""
    return _notification(event, payload.order_id, _INBOX)


@observes("payment.failed", PaymentFailed)
def notify_payment_failed(event: Event, payload: PaymentFailed) -> Notification | None:
    """The provider refused."""
    return _notification(event, payload.order_id, EVERYWHERE)


@observes("payment.refunded", PaymentRefunded)
def notify_payment_refunded(event: Event, payload: PaymentRefunded) -> Notification | None:
    """With the amount that was refunded."""
    return _notification(event, payload.order_id, EVERYWHERE, amount=_to_data(payload.amount))


def _notification(event: Event, order_id: str, channels: frozenset[Channel], **data: Any) -> Notification | None:
    """A notification of the event's own type to its customer; None where there is no customer."""
    if not event.user_id:
        return None
    return Notification(event.type, event.user_id, order_id, channels, {"order_id": order_id, **data})


def _to_data(money: Money) -> dict[str, Any]:
    return {"amount_minor": money.amount_minor, "currency": money.currency}
