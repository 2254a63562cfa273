"""The three axes of an order, as data: their states, the moves between them, and the one state that is shown to people.

Every state that the contract names can be reached by the moves (tests/order/orders/test_states.py).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar


class OrderState(StrEnum):
    """The contract's names without their prefix."""

    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"


class PaymentState(StrEnum):
    """The contract's names without their prefix."""

    PENDING = "PENDING"
    ACTION_REQUIRED = "ACTION_REQUIRED"
    AUTHORIZED = "AUTHORIZED"
    CAPTURED = "CAPTURED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"
    FAILED = "FAILED"
    VOIDED = "VOIDED"
    PROCESSING = "PROCESSING"
    CHARGED_BACK = "CHARGED_BACK"


class FulfilmentState(StrEnum):
    """The contract's names without their prefix."""

    UNFULFILLED = "UNFULFILLED"
    PARTIALLY_SHIPPED = "PARTIALLY_SHIPPED"
    SHIPPED = "SHIPPED"
    DELIVERED = "DELIVERED"
    PARTIALLY_RETURNED = "PARTIALLY_RETURNED"
    RETURNED = "RETURNED"


class DisplayState(StrEnum):
    """The contract's names without their prefix."""

    AWAITING_PAYMENT = "AWAITING_PAYMENT"
    ACTION_REQUIRED = "ACTION_REQUIRED"
    PAYMENT_FAILED = "PAYMENT_FAILED"
    CONFIRMED = "CONFIRMED"
    PARTIALLY_SHIPPED = "PARTIALLY_SHIPPED"
    SHIPPED = "SHIPPED"
    DELIVERED = "DELIVERED"
    PARTIALLY_RETURNED = "PARTIALLY_RETURNED"
    RETURNED = "RETURNED"
    REFUNDED = "REFUNDED"
    CHARGED_BACK = "CHARGED_BACK"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"


O, P, F, D = OrderState, PaymentState, FulfilmentState, DisplayState  # noqa: E741  # the tables below stay readable

State = TypeVar("State", OrderState, PaymentState, FulfilmentState)

ORDER_MOVES: Mapping[OrderState, frozenset[OrderState]] = {
    O.PENDING: frozenset({O.CONFIRMED, O.CANCELLED, O.EXPIRED}),
    O.CONFIRMED: frozenset({O.COMPLETED, O.CANCELLED}),
    O.COMPLETED: frozenset(),
    O.CANCELLED: frozenset(),
    O.EXPIRED: frozenset(),
}

PAYMENT_MOVES: Mapping[PaymentState, frozenset[PaymentState]] = {
    P.PENDING: frozenset({P.ACTION_REQUIRED, P.PROCESSING, P.AUTHORIZED, P.CAPTURED, P.FAILED, P.VOIDED, P.REFUNDED}),
    P.ACTION_REQUIRED: frozenset({P.PROCESSING, P.AUTHORIZED, P.CAPTURED, P.FAILED, P.VOIDED, P.REFUNDED}),
    P.PROCESSING: frozenset({P.ACTION_REQUIRED, P.AUTHORIZED, P.CAPTURED, P.FAILED, P.VOIDED, P.REFUNDED}),
    P.AUTHORIZED: frozenset({P.CAPTURED, P.FAILED, P.VOIDED, P.REFUNDED}),
    P.CAPTURED: frozenset({P.PARTIALLY_REFUNDED, P.REFUNDED, P.CHARGED_BACK}),
    P.PARTIALLY_REFUNDED: frozenset({P.PARTIALLY_REFUNDED, P.REFUNDED, P.CHARGED_BACK}),
    # A charge-back that is decided for us gives back what had been captured.
    P.CHARGED_BACK: frozenset({P.CAPTURED, P.PARTIALLY_REFUNDED, P.REFUNDED}),
    P.REFUNDED: frozenset(),
    P.FAILED: frozenset({P.PENDING}),  # with another method, as another attempt
    P.VOIDED: frozenset(),
}
"""The provider is called before a state is written, so the payment of a cancelled order goes straight to what the provider
did, even if what came in between was never written."""

FULFILMENT_MOVES: Mapping[FulfilmentState, frozenset[FulfilmentState]] = {
    F.UNFULFILLED: frozenset({F.PARTIALLY_SHIPPED, F.SHIPPED}),
    F.PARTIALLY_SHIPPED: frozenset({F.PARTIALLY_SHIPPED, F.SHIPPED}),
    F.SHIPPED: frozenset({F.SHIPPED, F.DELIVERED, F.PARTIALLY_RETURNED}),
    F.DELIVERED: frozenset({F.PARTIALLY_RETURNED, F.RETURNED}),
    F.PARTIALLY_RETURNED: frozenset({F.PARTIALLY_RETURNED, F.RETURNED}),
    F.RETURNED: frozenset(),
}
"""A state that may follow itself is one within which units go on. Those that came back before the last was delivered show
once it has been: then SHIPPED becomes PARTIALLY_RETURNED."""

SHIPPABLE_WITH = frozenset({P.AUTHORIZED, P.CAPTURED, P.PARTIALLY_REFUNDED})
PAID = frozenset({P.CAPTURED, P.PARTIALLY_REFUNDED, P.REFUNDED})


class MoveRefused(Exception):
    """A state cannot follow another. Raised for code that tries to, never for a caller."""


def move(moves: Mapping[State, frozenset[State]], old: State, new: State, whose: str) -> State:
    """`new`. Raises `MoveRefused` if it cannot follow `old`."""
    if new not in moves[old]:
        raise MoveRefused(f"{whose} is {old} and cannot become {new}")
    return new


_OF_PAYMENT = {
    P.CHARGED_BACK: D.CHARGED_BACK,
    P.ACTION_REQUIRED: D.ACTION_REQUIRED,
    P.FAILED: D.PAYMENT_FAILED,
}


def display(order: OrderState, payment: PaymentState, fulfilment: FulfilmentState) -> DisplayState:
    """What people are shown: first how the order ended, then what is wrong with its payment, then where its goods are."""
    if order in (O.CANCELLED, O.EXPIRED):
        return D(order.value)
    if payment in _OF_PAYMENT:
        return _OF_PAYMENT[payment]
    if order is O.PENDING:
        return D.AWAITING_PAYMENT
    if fulfilment is F.UNFULFILLED:
        return D.REFUNDED if payment is P.REFUNDED else D.CONFIRMED
    return D(fulfilment.value)
