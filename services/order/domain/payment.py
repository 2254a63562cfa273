"""The rules of a payment: its states only move forward."""

from dataclasses import dataclass
from enum import StrEnum

from services.order.domain.states import PAYMENT_MOVES, PaymentState, move


class FailureCode(StrEnum):
    """Why a payment failed; the contract's names without their prefix."""

    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    METHOD_UNKNOWN = "METHOD_UNKNOWN"
    DECLINED = "DECLINED"


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
        """Whether no state can follow in this attempt."""
        return not PAYMENT_MOVES[self.state] or self.state is PaymentState.FAILED

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
        """Change the state. Raises `MoveRefused` if `to` cannot follow the current one."""
        self.state = move(PAYMENT_MOVES, self.state, to, self.payment_id)
