"""Events as the outboxes of the mesh publish them."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.message import Message
from weft.api.v1.event_pb2 import Event
from weft.order.v1 import events_pb2 as orders
from weft.order.v1.money_pb2 import Money
from weft.user.v1 import events_pb2 as users

from chassis import ids
from tests import servers

EUR = Money(amount_minor=4200, currency="EUR")


def made(type: str, payload: Message, *, user_id: str, aggregate_id: str, sequence: int = 1, **more: Any) -> Event:
    """An event of now, or of `occurred`."""
    occurred = more.pop("occurred", datetime.now(UTC))
    event = Event(
        event_id=ids.new("evt"), type=type, aggregate_id=aggregate_id, sequence=sequence, user_id=user_id,
        actor=user_id, **more,
    )  # fmt: skip
    event.occur_time.FromDatetime(occurred)
    event.payload.Pack(payload)
    return event


def placed(user_id: str, order_id: str = "", **more: Any) -> Event:
    order_id = order_id or ids.new("ord")
    return made(
        "order.placed", orders.OrderPlaced(order_id=order_id, total=EUR), user_id=user_id, aggregate_id=order_id, **more
    )


def confirmed(user_id: str, order_id: str = "", **more: Any) -> Event:
    order_id = order_id or ids.new("ord")
    payload = orders.OrderConfirmed(order_id=order_id, total=EUR)
    return made("order.confirmed", payload, user_id=user_id, aggregate_id=order_id, **{"sequence": 2, **more})


def expired(user_id: str, **more: Any) -> Event:
    order_id = ids.new("ord")
    payload = orders.OrderExpired(order_id=order_id)
    return made("order.expired", payload, user_id=user_id, aggregate_id=order_id, **more)


def refunded(user_id: str, **more: Any) -> Event:
    payload = orders.PaymentRefunded(order_id=ids.new("ord"), payment_id=ids.new("pay"), amount=EUR)
    return made("payment.refunded", payload, user_id=user_id, aggregate_id=payload.payment_id, **more)


def signed_up(sign_up_id: str, **more: Any) -> Event:
    payload = users.UserSignedUp(sign_up_id=sign_up_id)
    return made("user.signed_up", payload, user_id="", aggregate_id=sign_up_id, **more)


def verification_requested(sign_up_id: str, **more: Any) -> Event:
    payload = users.VerificationRequested(sign_up_id=sign_up_id)
    return made("user.verification_requested", payload, user_id="", aggregate_id=sign_up_id, **more)


def invited(user_id: str, **more: Any) -> Event:
    return made("user.invited", users.UserInvited(user_id=user_id), user_id=user_id, aggregate_id=user_id, **more)


def verified(user_id: str, **more: Any) -> Event:
    return made("user.verified", users.UserVerified(user_id=user_id), user_id=user_id, aggregate_id=user_id, **more)


def password_reset_requested(request_id: str) -> Event:
    payload = users.PasswordResetRequested(code_request_id=request_id)
    return made("user.password_reset_requested", payload, user_id="", aggregate_id=request_id)


def email_change_requested(request_id: str) -> Event:
    payload = users.EmailChangeRequested(code_request_id=request_id)
    return made("user.email_change_requested", payload, user_id="", aggregate_id=request_id)


def email_changed(request_id: str) -> Event:
    user_id = ids.new("usr")
    payload = users.EmailChanged(user_id=user_id, code_request_id=request_id)
    return made("user.email_changed", payload, user_id=user_id, aggregate_id=user_id)


def phone_verification_requested(request_id: str) -> Event:
    payload = users.PhoneVerificationRequested(code_request_id=request_id)
    return made("user.phone_verification_requested", payload, user_id="", aggregate_id=request_id)


def password_changed(user_id: str, **more: Any) -> Event:
    payload = users.PasswordChanged(user_id=user_id, **more)
    return made("user.password_changed", payload, user_id=user_id, aggregate_id=user_id)


MAX_BACKOFF = timedelta(minutes=15)
"""Longer than the backoff of any queue."""


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something that is looked up."""
    await servers.until(condition, "what the test waits for")
