"""The rules of a payment: its states only move forward."""

from dataclasses import dataclass
from enum import StrEnum

from chassis.errors import NotFound


class PaymentNotFound(NotFound):
    """There is no payment {payment_id}."""


class PaymentState(StrEnum):
    """Where a payment stands; the contract's names without their prefix."""

    PENDING = "PENDING"
    ACTION_REQUIRED = "ACTION_REQUIRED"
    AUTHORIZED = "AUTHORIZED"
    CAPTURED = "CAPTURED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"
    FAILED = "FAILED"
    VOIDED = "VOIDED"
    PROCESSING = "PROCESSING"


class FailureCode(StrEnum):
    """Why a payment failed; the contract's names without their prefix."""

    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    METHOD_UNKNOWN = "METHOD_UNKNOWN"
    DECLINED = "DECLINED"


_P = PaymentState
_MOVES: dict[PaymentState, set[PaymentState]] = {
    _P.PENDING: {_P.ACTION_REQUIRED, _P.PROCESSING, _P.AUTHORIZED, _P.CAPTURED, _P.FAILED, _P.VOIDED, _P.REFUNDED},
    _P.ACTION_REQUIRED: {_P.PROCESSING, _P.AUTHORIZED, _P.CAPTURED, _P.FAILED, _P.VOIDED, _P.REFUNDED},
    _P.PROCESSING: {_P.AUTHORIZED, _P.CAPTURED, _P.FAILED, _P.VOIDED, _P.REFUNDED},
    _P.AUTHORIZED: {_P.CAPTURED, _P.FAILED, _P.VOIDED, _P.REFUNDED},
    _P.CAPTURED: {_P.PARTIALLY_REFUNDED, _P.REFUNDED},
    _P.PARTIALLY_REFUNDED: {_P.PARTIALLY_REFUNDED, _P.REFUNDED},
    _P.REFUNDED: set(),
    _P.FAILED: set(),
    _P.VOIDED: set(),
}
"""From each state, where it may go. The provider is asked before a move is written, so a payment whose order is called
off goes straight to what the provider did, even where a capture in between was never written down."""


class PaymentMoveRefused(Exception):
    """A payment cannot go back; raised for code that tries to, never for a caller."""


@dataclass(slots=True)
class Payment:
    """The payment of one order. `asked`: a call to the provider may have been made. Amounts are in the smallest unit."""

    payment_id: str
    method: str
    amount_minor: int
    currency: str
    state: PaymentState = PaymentState.PENDING
    attempt: int = 1
    asked: bool = False
    captured_minor: int = 0
    refunded_minor: int = 0
    failure_reason: str = ""
    failure_code: str = ""

    @property
    def key(self) -> str:
        """What the provider recognises a repeated call by."""
        return f"{self.payment_id}/{self.attempt}"

    @property
    def over(self) -> bool:
        """Whether nothing can happen to it any more."""
        return not _MOVES[self.state]

    def capture(self) -> None:
        """The whole amount was received."""
        self.move(PaymentState.CAPTURED)
        self.captured_minor = self.amount_minor

    def fail(self, reason: str, code: FailureCode) -> None:
        """The provider refused, and said why: in words, and as a code."""
        self.move(PaymentState.FAILED)
        self.failure_reason, self.failure_code = reason, code

    def refund(self) -> int:
        """All that was received was given back; how much that was now."""
        self.move(PaymentState.REFUNDED)
        self.captured_minor = self.captured_minor or self.amount_minor
        given, self.refunded_minor = self.captured_minor - self.refunded_minor, self.captured_minor
        return given

    def move(self, to: PaymentState) -> None:
        """Go to a state. Raises `PaymentMoveRefused` where no way leads there."""
        if to not in _MOVES[self.state]:
            raise PaymentMoveRefused(f"{self.payment_id} is {self.state} and cannot become {to}")
        self.state = to
