"""The rules of a payment: its states only move forward."""

from dataclasses import dataclass
from enum import StrEnum

from chassis.errors import NotFound


class PaymentNotFound(NotFound):
    """There is no payment {payment_id}."""


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


class FailureCode(StrEnum):
    """Why a payment failed; the contract's names without their prefix."""

    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    METHOD_UNKNOWN = "METHOD_UNKNOWN"
    DECLINED = "DECLINED"


_P = PaymentState
_TRANSITIONS: dict[PaymentState, set[PaymentState]] = {
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
"""From each state, the states that may follow. The provider is called before a state is written, so the payment of a
cancelled order goes straight to what the provider did, even if the capture in between was never written."""


class PaymentMoveRefused(Exception):
    """A payment cannot go back. Raised for code that tries to, never for a caller."""


@dataclass(slots=True)
class Payment:
    """The payment of one order. Amounts are in the currency's smallest unit.

    `provider_contacted`: a call to the provider may have been made. `attempt` counts the attempts with a method.
    """

    payment_id: str
    method: str
    amount_minor: int
    currency: str
    state: PaymentState = PaymentState.PENDING
    attempt: int = 1
    provider_contacted: bool = False
    captured_minor: int = 0
    refunded_minor: int = 0
    failure_reason: str = ""
    failure_code: str = ""

    @property
    def idempotency_key(self) -> str:
        """The key by which the provider recognises a repeated call."""
        return f"{self.payment_id}/{self.attempt}"

    @property
    def ended(self) -> bool:
        """Whether no state can follow."""
        return not _TRANSITIONS[self.state]

    def capture(self) -> None:
        """The whole amount was received."""
        self.move(PaymentState.CAPTURED)
        self.captured_minor = self.amount_minor

    def fail(self, reason: str, code: FailureCode) -> None:
        """The provider declined. `reason` is for people, `code` for programs."""
        self.move(PaymentState.FAILED)
        self.failure_reason, self.failure_code = reason, code

    def refund(self) -> int:
        """Everything captured was refunded; the amount refunded by this step."""
        self.move(PaymentState.REFUNDED)
        self.captured_minor = self.captured_minor or self.amount_minor
        amount, self.refunded_minor = self.captured_minor - self.refunded_minor, self.captured_minor
        return amount

    def move(self, to: PaymentState) -> None:
        """Change the state. Raises `PaymentMoveRefused` if `to` cannot follow the current one."""
        if to not in _TRANSITIONS[self.state]:
            raise PaymentMoveRefused(f"{self.payment_id} is {self.state} and cannot become {to}")
        self.state = to
