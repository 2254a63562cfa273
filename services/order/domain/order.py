"""The rules of an order: how it begins, and how it and its payment change until they end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum, auto
from typing import NamedTuple

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from services.order.domain.payment import FailureCode, Payment, PaymentState
from services.order.domain.pricing import Line, Price


class OrderNotFound(NotFound):
    """There is no order {order_id}."""


class CustomerNotFound(NotFound):
    """There is no customer {customer_id} to order for."""


class CustomerRequired(InvalidArgument):
    """A partner must give the customer in customer_id."""


class ExternalReferenceTaken(AlreadyExists):
    """There is already an order with the external reference {external_reference}."""


class OrderNotCancellable(FailedPrecondition):
    """The order {order_id} is {state} and cannot be cancelled."""


class CursorInvalid(InvalidArgument):
    """The cursor does not belong to this stream."""


class OrderState(StrEnum):
    """The contract's names without their prefix."""

    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"


class Step(Enum):
    """The next call to the payment provider. `REVERSE`: void what is authorized, refund what is captured."""

    AUTHORIZE = auto()
    FIND = auto()
    CAPTURE = auto()
    REVERSE = auto()
    NONE = auto()


class OrderMoveRefused(Exception):
    """The order has changed. Raised for code that acts on an older state, never for a caller."""


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """Something that happened to an order. `amount_minor` is set where money moved, `code` where a payment failed."""

    type: str
    reason: str = ""
    amount_minor: int = 0
    code: str = ""


class OrderDraft(NamedTuple):
    """What a buyer orders. `quantities`: units by product. `partner_id` is empty for users who buy for themselves."""

    customer_id: str
    partner_id: str
    quantities: Mapping[str, int]
    payment_method: str
    external_reference: str
    note: str
    actor: str


class NewOrder(NamedTuple):
    """An order as it is placed: in its first state, at version 1, with its first event.

    `product_versions`: of each line's product, as the buyer was shown it.
    """

    order_id: str
    customer_id: str
    partner_id: str
    lines: list[Line]
    product_versions: list[int]
    total_minor: int
    currency: str
    payment: Payment
    external_reference: str
    note: str
    actor: str
    placed_at: datetime
    state: OrderState = OrderState.PENDING
    version: int = 1
    domain_event: DomainEvent = DomainEvent("order.placed")

    @classmethod
    def place(
        cls,
        order_id: str,
        payment_id: str,
        draft: OrderDraft,
        price: Price,
        product_versions: list[int],
        now: datetime,
    ) -> "NewOrder":
        """A draft at its price, with a payment that the provider does not know yet."""
        return cls(
            order_id=order_id,
            customer_id=draft.customer_id,
            partner_id=draft.partner_id,
            lines=price.lines,
            product_versions=product_versions,
            total_minor=price.total_minor,
            currency=price.currency,
            payment=Payment(payment_id, draft.payment_method, price.total_minor, price.currency),
            external_reference=draft.external_reference,
            note=draft.note,
            actor=draft.actor,
            placed_at=now,
        )


@dataclass(slots=True)
class Order:
    """An order and its payment, which change together: one version counts the changes of both.

    Its methods add to `domain_events` what is to be emitted, and set `actor` to who did it; `releases_stock` says that its
    stock is available again. `event_count`: events emitted before.
    """

    order_id: str
    customer_id: str
    partner_id: str
    currency: str
    total_minor: int
    state: OrderState
    reason: str
    version: int
    event_count: int
    payment: Payment
    actor: str = ""
    domain_events: list[DomainEvent] = field(default_factory=list)
    releases_stock: bool = False

    @property
    def open(self) -> bool:
        """Whether it has not ended."""
        return self.state in (OrderState.PENDING, OrderState.CONFIRMED)

    def next_step(self) -> Step:
        """What the payment needs next. Derived from the states alone, so any worker can resume after another one died."""
        state = self.payment.state
        if not self.open:
            settled = self.payment.ended or self.state is OrderState.COMPLETED
            return Step.NONE if settled else Step.REVERSE
        return {
            PaymentState.PENDING: Step.AUTHORIZE,
            PaymentState.PROCESSING: Step.FIND,
            PaymentState.AUTHORIZED: Step.CAPTURE,
        }.get(state, Step.NONE)

    def confirm(self, actor: str) -> None:
        """The provider authorized the payment."""
        self._require_open("confirm")
        self.payment.move(PaymentState.AUTHORIZED)
        self.state = OrderState.CONFIRMED
        self._record(actor, DomainEvent("order.confirmed"))

    def wait(self, actor: str) -> None:
        """The provider did not say whether it authorized the payment."""
        self._require_open("wait")
        self.payment.move(PaymentState.PROCESSING)
        self._record(actor)

    def capture(self, actor: str) -> None:
        """The money was received."""
        self._require_open("capture")
        self.payment.capture()
        self._record(actor, DomainEvent("payment.captured", amount_minor=self.payment.captured_minor))

    def fail(self, reason: str, code: FailureCode, actor: str) -> None:
        """The provider declined the payment: the order is cancelled too."""
        self._require_open("fail")
        self.payment.fail(reason, code)
        self._end(OrderState.CANCELLED, reason)
        self._record(actor, DomainEvent("payment.failed", reason, code=code), DomainEvent("order.cancelled", reason))

    def cancel(self, reason: str, actor: str) -> None:
        """Raises `OrderNotCancellable` if it has ended already."""
        if not self.open:
            raise OrderNotCancellable(order_id=self.order_id, state=self.state)
        self._end(OrderState.CANCELLED, reason)
        self._record(actor, DomainEvent("order.cancelled", reason))

    def expire(self, actor: str) -> None:
        """It was not paid in time. Raises `OrderMoveRefused` unless it is PENDING."""
        if self.state is not OrderState.PENDING:
            raise OrderMoveRefused(f"{self.order_id} is {self.state} and cannot expire")
        self._end(OrderState.EXPIRED, "not paid in time")
        self._record(actor, DomainEvent("order.expired"))

    def void(self, actor: str) -> None:
        """The provider voided the authorization, or never authorized anything."""
        self.payment.move(PaymentState.VOIDED)
        self._record(actor)

    def refund(self, actor: str) -> None:
        """The provider refunded what it had captured."""
        self._record(actor, DomainEvent("payment.refunded", amount_minor=self.payment.refund()))

    def _end(self, state: OrderState, reason: str) -> None:
        self.state, self.reason, self.releases_stock = state, reason, True
        if self.payment.state is PaymentState.PENDING and not self.payment.provider_contacted:
            self.payment.move(PaymentState.VOIDED)  # the provider does not know of it

    def _require_open(self, move: str) -> None:
        if not self.open:
            raise OrderMoveRefused(f"{self.order_id} is {self.state}: too late to {move}")

    def _record(self, actor: str, *domain_events: DomainEvent) -> None:
        self.actor = actor
        self.version += 1
        self.domain_events.extend(domain_events)
