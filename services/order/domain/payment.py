"""The rules of a payment: its states move as the table says, and its sums follow from its movements."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from services.order.domain.refusals import (
    CaptureExceedsAuthorized,
    PaymentNotCapturable,
    PaymentNotConfirmable,
    PaymentNotRefundable,
    RefundExceedsCaptured,
    TooManyRefunds,
)
from services.order.domain.states import PAYMENT_MOVES, PaymentState, move

BY_HAND = "bank:"
"""Begins the reference of a movement that no provider made."""
MAX_REFUNDS = 100
"""Of one payment."""


class FailureCode(StrEnum):
    """Why a payment failed; the contract's names without their prefix."""

    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    METHOD_UNKNOWN = "METHOD_UNKNOWN"
    DECLINED = "DECLINED"
    METHOD_EXPIRED = "METHOD_EXPIRED"
    METHOD_BLOCKED = "METHOD_BLOCKED"
    FRAUD_SUSPECTED = "FRAUD_SUSPECTED"
    AUTHENTICATION_FAILED = "AUTHENTICATION_FAILED"


class Capture(StrEnum):
    """When the money is collected; the contract's names without their prefix."""

    AT_ONCE = "AT_ONCE"
    AT_SHIPMENT = "AT_SHIPMENT"


class MovementKind(StrEnum):
    """What a row of the ledger says; the contract's names without their prefix."""

    AUTHORIZED = "AUTHORIZED"
    VOIDED = "VOIDED"
    CAPTURED = "CAPTURED"
    REFUNDED = "REFUNDED"
    CHARGED_BACK = "CHARGED_BACK"
    CHARGE_BACK_REVERSED = "CHARGE_BACK_REVERSED"


class Movement(NamedTuple):
    """A row of the ledger. `reference` is the provider's."""

    kind: MovementKind
    amount_minor: int
    reference: str


class Refund(NamedTuple):
    """A refund that the provider is still to make."""

    refund_id: str
    amount_minor: int


_SUMS = {
    MovementKind.AUTHORIZED: ("authorized_minor", 1),
    MovementKind.VOIDED: ("authorized_minor", -1),
    MovementKind.CAPTURED: ("captured_minor", 1),
    MovementKind.REFUNDED: ("refunded_minor", 1),
    MovementKind.CHARGED_BACK: ("charged_back_minor", 1),
    MovementKind.CHARGE_BACK_REVERSED: ("charged_back_minor", -1),
}
"""The sum that a movement changes, and in which direction: each is the sum of the ledger's rows."""
_REFUNDABLE = (PaymentState.CAPTURED, PaymentState.PARTIALLY_REFUNDED)
_ENDED = (PaymentState.REFUNDED, PaymentState.VOIDED, PaymentState.FAILED, PaymentState.CHARGED_BACK)


def refundable(state: str, captured_minor: int, refunded_minor: int, refunding_minor: int) -> int:
    """What can still be refunded of a payment."""
    return captured_minor - refunded_minor - refunding_minor if state in _REFUNDABLE else 0


@dataclass(slots=True)
class Payment:
    """The payment of one order. Amounts are in the currency's smallest unit.

    `provider_contacted`: a call to the provider may have been made. `attempt` counts the attempts with a method.
    `reference` is the provider's name of the charge. `confirming`: the payer has acted, and the provider is to go on.
    `capture_minor` is what is to be captured, 0 for nothing yet; `refunding_minor` what is to be refunded, of which `refund`
    is the next. `movements` are new rows of the ledger.
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
    capture_when: Capture = Capture.AT_ONCE
    reference: str = ""
    next_action: str = ""
    confirming: bool = False
    capture_minor: int = 0
    authorized_minor: int = 0
    charged_back_minor: int = 0
    refunding_minor: int = 0
    refund_count: int = 0
    refund: Refund | None = None
    movements: list[Movement] = field(default_factory=list)

    @property
    def idempotency_key(self) -> str:
        """The key by which the provider recognises the charge of this attempt."""
        return f"{self.payment_id}/{self.attempt}"

    @property
    def by_hand(self) -> bool:
        """Whether it was paid by bank transfer: no provider knows of it."""
        return self.reference.startswith(BY_HAND)

    @property
    def ended(self) -> bool:
        """Whether there is nothing to void or to refund."""
        return self.state in _ENDED

    @property
    def to_capture_minor(self) -> int:
        """What is to be captured now; 0 for nothing."""
        return self.amount_minor if self.capture_when is Capture.AT_ONCE else self.capture_minor

    @property
    def refundable_minor(self) -> int:
        """What was captured and is neither refunded nor about to be."""
        return refundable(self.state, self.captured_minor, self.refunded_minor, self.refunding_minor)

    def mark_paid(self, reference: str) -> None:
        """The money came by bank transfer. Raises `PaymentNotConfirmable` while the provider may still take it as well."""
        if self.state is PaymentState.FAILED:
            self.begin_attempt("bank_transfer")  # the attempt that was declined keeps its key at the provider
        elif self.state is not PaymentState.PENDING or self.provider_contacted:
            raise PaymentNotConfirmable(payment_id=self.payment_id, state=self.state)
        self.reference = f"{BY_HAND}{reference}"
        self.capture()

    def authorize(self) -> None:
        """The provider reserved the amount."""
        self.move(PaymentState.AUTHORIZED)
        self.next_action, self.confirming = "", False
        self._book(MovementKind.AUTHORIZED, self.amount_minor)

    def require_action(self, url: str) -> None:
        """The payer must act at `url`, or has not done so yet."""
        if self.state is not PaymentState.ACTION_REQUIRED:
            self.move(PaymentState.ACTION_REQUIRED)
        self.next_action, self.confirming = url, False

    def begin_attempt(self, method: str) -> None:
        """Try again with another method after a decline; the provider sees a new charge."""
        self.move(PaymentState.PENDING)
        self.attempt += 1
        self.method, self.reference, self.provider_contacted = method, "", False
        self.failure_reason = self.failure_code = self.next_action = ""
        self.confirming = False

    def request_capture(self, amount_minor: int) -> None:
        """Have `amount_minor` captured, 0 for all. Raises `PaymentNotCapturable` or `CaptureExceedsAuthorized`."""
        if self.state is not PaymentState.AUTHORIZED or self.to_capture_minor:
            raise PaymentNotCapturable(payment_id=self.payment_id, state=self.state)
        if amount_minor > self.authorized_minor:
            raise CaptureExceedsAuthorized(authorized_minor=str(self.authorized_minor))
        self.capture_minor = amount_minor or self.authorized_minor

    def capture(self, amount_minor: int = 0) -> int:
        """`amount_minor` was collected, 0 for all of it, and the rest released; returns what was collected."""
        self.move(PaymentState.CAPTURED)
        amount = min(amount_minor, self.amount_minor) or self.amount_minor
        if not self.authorized_minor:
            self._book(MovementKind.AUTHORIZED, self.amount_minor)
        self._collect(amount)
        return amount

    def fail(self, reason: str, code: FailureCode) -> None:
        """The provider declined. `reason` is for people, `code` for programs."""
        self.move(PaymentState.FAILED)
        self.failure_reason, self.failure_code, self.next_action, self.confirming = reason, code, "", False
        self._release()

    def void(self) -> None:
        """The provider released what was authorized, or never authorized anything."""
        self.move(PaymentState.VOIDED)
        self.next_action, self.confirming = "", False
        self._release()

    def request_refund(self, refund_id: str, amount_minor: int) -> Refund:
        """Have `amount_minor` refunded, 0 for all that can be: the last part takes the rest.

        Raises `PaymentNotRefundable`, `RefundExceedsCaptured` or `TooManyRefunds`.
        """
        if self.state not in _REFUNDABLE:
            raise PaymentNotRefundable(payment_id=self.payment_id, state=self.state)
        amount = amount_minor or self.refundable_minor
        if not 0 < amount <= self.refundable_minor:
            raise RefundExceedsCaptured(refundable_minor=str(self.refundable_minor))
        if self.refund_count >= MAX_REFUNDS:
            raise TooManyRefunds(limit=str(MAX_REFUNDS))
        self.refunding_minor += amount
        self.refund_count += 1
        return Refund(refund_id, amount)

    def settle_refund(self, refund: Refund, reference: str) -> None:
        """The provider made a refund that was requested."""
        self.refunding_minor -= refund.amount_minor
        self._refunded(refund.amount_minor, reference)

    def drop_refund(self, refund: Refund) -> None:
        """The provider refused a refund."""
        self.refunding_minor -= refund.amount_minor
        self.refund = None

    def refund_all(self, captured_minor: int) -> int:
        """The provider gave back all of `captured_minor`, which is perhaps new to us; returns what is new."""
        if not self.captured_minor:
            if not self.authorized_minor:
                self._book(MovementKind.AUTHORIZED, self.amount_minor)
            self._collect(captured_minor)
        amount = self.captured_minor - self.refunded_minor
        self._refunded(amount, self.reference)
        return amount

    def charge_back(self, amount_minor: int) -> int:
        """The payer's bank took `amount_minor` back, 0 for all that was left; returns how much."""
        self.move(PaymentState.CHARGED_BACK)
        amount = amount_minor or self.captured_minor - self.refunded_minor
        self._book(MovementKind.CHARGED_BACK, amount)
        return amount

    def reverse_charge_back(self) -> int:
        """The charge-back was decided for us; returns what came back."""
        if self.refunded_minor == self.captured_minor:
            self.move(PaymentState.REFUNDED)
        else:
            self.move(PaymentState.PARTIALLY_REFUNDED if self.refunded_minor else PaymentState.CAPTURED)
        amount = self.charged_back_minor
        self._book(MovementKind.CHARGE_BACK_REVERSED, amount)
        return amount

    def move(self, to: PaymentState) -> None:
        """Change the state. Raises `MoveRefused` if `to` cannot follow the current one."""
        self.state = move(PAYMENT_MOVES, self.state, to, self.payment_id)

    def _refunded(self, amount: int, reference: str) -> None:
        whole = self.refunded_minor + amount == self.captured_minor
        if self.state is not PaymentState.CHARGED_BACK:  # that is what people must see
            self.move(PaymentState.REFUNDED if whole else PaymentState.PARTIALLY_REFUNDED)
        self.refund = None
        self._book(MovementKind.REFUNDED, amount, reference)

    def _collect(self, amount: int) -> None:
        self._book(MovementKind.CAPTURED, amount)
        if amount < self.authorized_minor:
            self._book(MovementKind.VOIDED, self.authorized_minor - amount)

    def _release(self) -> None:
        if self.authorized_minor:
            self._book(MovementKind.VOIDED, self.authorized_minor)

    def _book(self, kind: MovementKind, amount: int, reference: str = "") -> None:
        """The only place where a sum changes: with a row of the ledger, which has none of nothing."""
        if not amount:
            return
        name, sign = _SUMS[kind]
        setattr(self, name, getattr(self, name) + sign * amount)
        self.movements.append(Movement(kind, amount, reference or self.reference))
