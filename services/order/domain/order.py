"""The rules of an order: what it costs, and how it moves, together with its payment, from placed to its end."""

from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from services.order.domain.payment import FailureCode, Payment, PaymentState


class OrderNotFound(NotFound):
    """There is no order {order_id}."""


class CustomerNotFound(NotFound):
    """There is no customer {customer_id} to order for."""


class CustomerRequired(InvalidArgument):
    """A partner says in customer_id for whom it orders."""


class ExternalReferenceTaken(AlreadyExists):
    """There is an order with the external reference {external_reference} already."""


class OrderNotCancellable(FailedPrecondition):
    """The order {order_id} is {state} and cannot be cancelled."""


class CursorInvalid(InvalidArgument):
    """The cursor is not one of this stream's."""


class OrderState(StrEnum):
    """Where an order stands; the contract's names without their prefix."""

    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"


class Step(Enum):
    """What is to be done next about the payment of an order."""

    AUTHORISE = auto()
    FIND = auto()
    CAPTURE = auto()
    GIVE_BACK = auto()
    NOTHING = auto()


class OrderMoveRefused(Exception):
    """The order has moved on; raised for code that has not noticed, never for a caller."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened, to be told as an event. `amount_minor` is set where money moved, `code` where it did not."""

    type: str
    reason: str = ""
    amount_minor: int = 0
    code: str = ""


@dataclass(slots=True)
class Order:
    """An order and its payment, which move together: one version counts the changes of both.

    Its methods note in `facts` what is to be told and in `actor` who did it; `releases` says that its stock is free again.
    """

    order_id: str
    customer_id: str
    partner_id: str
    currency: str
    total_minor: int
    state: OrderState
    reason: str
    version: int
    events: int
    payment: Payment
    actor: str = ""
    facts: list[Fact] = field(default_factory=list)
    releases: bool = False

    @property
    def open(self) -> bool:
        """Whether it still goes on."""
        return self.state in (OrderState.PENDING, OrderState.CONFIRMED)

    def next_step(self) -> Step:
        """What the payment needs next; read from states alone, so that any worker can go on where another one died."""
        state = self.payment.state
        if not self.open:
            settled = self.payment.over or self.state is OrderState.COMPLETED
            return Step.NOTHING if settled else Step.GIVE_BACK
        return {
            PaymentState.PENDING: Step.AUTHORISE,
            PaymentState.PROCESSING: Step.FIND,
            PaymentState.AUTHORIZED: Step.CAPTURE,
        }.get(state, Step.NOTHING)

    def confirm(self, actor: str) -> None:
        """The provider promised the money."""
        self._require_open("confirm")
        self.payment.move(PaymentState.AUTHORIZED)
        self.state = OrderState.CONFIRMED
        self._note(actor, Fact("order.confirmed"))

    def wait(self, actor: str) -> None:
        """The provider did not say whether it promised the money."""
        self._require_open("wait")
        self.payment.move(PaymentState.PROCESSING)
        self._note(actor)

    def capture(self, actor: str) -> None:
        """The money was received."""
        self._require_open("capture")
        self.payment.capture()
        self._note(actor, Fact("payment.captured", amount_minor=self.payment.captured_minor))

    def fail(self, reason: str, code: FailureCode, actor: str) -> None:
        """The provider refused: there will be no money, so the order is called off too."""
        self._require_open("fail")
        self.payment.fail(reason, code)
        self._end(OrderState.CANCELLED, reason)
        self._note(actor, Fact("payment.failed", reason, code=code), Fact("order.cancelled", reason))

    def cancel(self, reason: str, actor: str) -> None:
        """Call it off. Raises `OrderNotCancellable` where it has ended already."""
        if not self.open:
            raise OrderNotCancellable(order_id=self.order_id, state=self.state)
        self._end(OrderState.CANCELLED, reason)
        self._note(actor, Fact("order.cancelled", reason))

    def expire(self, actor: str) -> None:
        """It was not paid in time."""
        if self.state is not OrderState.PENDING:
            raise OrderMoveRefused(f"{self.order_id} is {self.state} and cannot expire")
        self._end(OrderState.EXPIRED, "not paid in time")
        self._note(actor, Fact("order.expired"))

    def void(self, actor: str) -> None:
        """The provider let go of what it had promised, or never promised anything."""
        self.payment.move(PaymentState.VOIDED)
        self._note(actor)

    def refund(self, actor: str) -> None:
        """The provider gave back what it had received."""
        self._note(actor, Fact("payment.refunded", amount_minor=self.payment.refund()))

    def _end(self, state: OrderState, reason: str) -> None:
        self.state, self.reason, self.releases = state, reason, True
        if self.payment.state is PaymentState.PENDING and not self.payment.asked:
            self.payment.move(PaymentState.VOIDED)  # nobody outside knows of it

    def _require_open(self, move: str) -> None:
        if not self.open:
            raise OrderMoveRefused(f"{self.order_id} is {self.state}: too late to {move}")

    def _note(self, actor: str, *facts: Fact) -> None:
        self.actor = actor
        self.version += 1
        self.facts.extend(facts)
