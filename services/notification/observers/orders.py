"""What customers hear of their orders and payments."""

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

from services.notification.observers.registry import Channel, Notice, observes

_INBOX = frozenset({Channel.INBOX})
_BOTH = frozenset({Channel.INBOX, Channel.EMAIL})


@observes("order.placed", OrderPlaced)
def tell_of_placing(event: Event, fact: OrderPlaced) -> Notice | None:
    """The order exists; the mail waits for the payment."""
    return _notice(event, fact.order_id, _INBOX, total=_money(fact.total))


@observes("order.confirmed", OrderConfirmed)
def tell_of_confirmation(event: Event, fact: OrderConfirmed) -> Notice | None:
    """Paid, or sure to be."""
    return _notice(event, fact.order_id, _BOTH, total=_money(fact.total))


@observes("order.cancelled", OrderCancelled)
def tell_of_cancellation(event: Event, fact: OrderCancelled) -> Notice | None:
    """Called off: a mail where a person did it, as the mail about the payment has said it where the platform did.

    The reason may be anyone's words, so it is not repeated.
    """
    return _notice(event, fact.order_id, _INBOX if event.actor.startswith("service:") else _BOTH)


@observes("order.expired", OrderExpired)
def tell_of_expiry(event: Event, fact: OrderExpired) -> Notice | None:
    """Not paid in time."""
    return _notice(event, fact.order_id, _BOTH)


@observes("payment.failed", PaymentFailed)
def tell_of_failed_payment(event: Event, fact: PaymentFailed) -> Notice | None:
    """The provider refused."""
    return _notice(event, fact.order_id, _BOTH)


@observes("payment.refunded", PaymentRefunded)
def tell_of_refund(event: Event, fact: PaymentRefunded) -> Notice | None:
    """Money went back."""
    return _notice(event, fact.order_id, _BOTH, amount=_money(fact.amount))


def _notice(event: Event, order_id: str, channels: frozenset[Channel], **facts: Any) -> Notice | None:
    """A notice of the event's own type to its customer; none where there is no customer."""
    if not event.user_id:
        return None
    return Notice(event.type, event.user_id, order_id, channels, {"order_id": order_id, **facts})


def _money(money: Money) -> dict[str, Any]:
    return {"amount_minor": money.amount_minor, "currency": money.currency}
