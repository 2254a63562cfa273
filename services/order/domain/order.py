"""The rules of an order: how it, its payment and its fulfilment change until they end."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto

from services.order.domain.fulfilment import Fulfilment, Quantities, Shipment
from services.order.domain.payment import FailureCode, Payment
from services.order.domain.refusals import OrderAlreadyShipped, OrderNotCancellable, OrderNotShippable
from services.order.domain.states import (
    FULFILMENT_MOVES,
    ORDER_MOVES,
    PAID,
    SHIPPABLE_WITH,
    FulfilmentState,
    OrderState,
    PaymentState,
    move,
)


class Step(Enum):
    """The next call to the payment provider. `REVERSE`: void what is authorized, refund what is captured."""

    AUTHORIZE = auto()
    FIND = auto()
    CAPTURE = auto()
    REVERSE = auto()
    NONE = auto()


class OrderMoveRefused(Exception):
    """The order has changed. Raised for code that acts on an older state, never for a caller."""


_ALL_DELIVERED = (FulfilmentState.DELIVERED, FulfilmentState.PARTIALLY_RETURNED, FulfilmentState.RETURNED)
_ALL_SHIPPED = (FulfilmentState.SHIPPED, *_ALL_DELIVERED)


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """Something that happened to an order.

    `amount_minor` is set where money moved, `code` where a payment failed, `shipment` and `units` where goods did.
    """

    type: str
    reason: str = ""
    amount_minor: int = 0
    code: str = ""
    shipment: Shipment | None = None
    units: Quantities = field(default_factory=dict)


@dataclass(slots=True)
class Order:
    """An order and its payment, which change together: one version counts the changes of both.

    Its methods add to `domain_events` what is to be emitted, and set `actor` to who did it, `change` to what was done and
    `cause` to why; `releases_stock` says that its stock is available again. `event_count`: events emitted before.
    `fulfilment` has the units; it is loaded for the calls that change them.
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
    fulfilment_state: FulfilmentState = FulfilmentState.UNFULFILLED
    fulfilment: Fulfilment | None = None
    mode: str = "LIVE"
    actor: str = ""
    change: str = ""
    cause: str = ""
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
        self._move(OrderState.CONFIRMED)
        self._record(actor, DomainEvent("order.confirmed"))

    def wait(self, actor: str) -> None:
        """The provider did not say whether it authorized the payment."""
        self._require_open("wait")
        self.payment.move(PaymentState.PROCESSING)
        self._record(actor, change="payment.processing")

    def capture(self, actor: str) -> None:
        """The money was received."""
        self._require_open("capture")
        self.payment.capture()
        self._record(
            actor, DomainEvent("payment.captured", amount_minor=self.payment.captured_minor), *self._complete()
        )

    def fail(self, reason: str, code: FailureCode, actor: str) -> None:
        """The provider declined the payment: the order is cancelled too."""
        self._require_open("fail")
        self.payment.fail(reason, code)
        self._end(OrderState.CANCELLED, reason)
        failed, cancelled = DomainEvent("payment.failed", reason, code=code), DomainEvent("order.cancelled", reason)
        self._record(actor, failed, cancelled, cause=reason)

    def cancel(self, reason: str, actor: str) -> None:
        """Raises `OrderNotCancellable` if it has ended already, `OrderAlreadyShipped` if a unit has left."""
        if not self.open:
            raise OrderNotCancellable(order_id=self.order_id, state=self.state)
        if self.fulfilment_state is not FulfilmentState.UNFULFILLED:
            raise OrderAlreadyShipped(order_id=self.order_id)
        self._end(OrderState.CANCELLED, reason)
        self._record(actor, DomainEvent("order.cancelled", reason), cause=reason)

    def expire(self, actor: str) -> None:
        """It was not paid in time. Raises `OrderMoveRefused` unless it is PENDING."""
        if self.state is not OrderState.PENDING:
            raise OrderMoveRefused(f"{self.order_id} is {self.state} and cannot expire")
        self._end(OrderState.EXPIRED, "not paid in time")
        self._record(actor, DomainEvent("order.expired"), cause=self.reason)

    def void(self, actor: str) -> None:
        """The provider voided the authorization, or never authorized anything."""
        self.payment.move(PaymentState.VOIDED)
        self._record(actor, change="payment.voided")

    def refund(self, actor: str) -> None:
        """The provider refunded what it had captured."""
        self._record(actor, DomainEvent("payment.refunded", amount_minor=self.payment.refund()))

    def ship(
        self, shipment_id: str, units: Quantities, carrier: str, tracking_number: str, actor: str, now: datetime
    ) -> None:
        """Units have left; all that remain if `units` is empty. Raises `OrderNotShippable`, or as `Fulfilment.ship`."""
        if self.state is not OrderState.CONFIRMED or self.payment.state not in SHIPPABLE_WITH:
            if self.fulfilment_state in _ALL_SHIPPED:
                raise OrderAlreadyShipped(order_id=self.order_id)
            payment_state = self.payment.state.value
            raise OrderNotShippable(order_id=self.order_id, state=self.state, payment_state=payment_state)
        shipment = self._units().ship(shipment_id, units, carrier, tracking_number, now)
        self._fulfil()
        self._record(actor, DomainEvent("order.shipped", shipment=shipment))

    def deliver(self, shipment_id: str, units: Quantities, actor: str, now: datetime) -> None:
        """Units have arrived: all that are on their way if `units` is empty. Raises as `Fulfilment.deliver`."""
        delivered = self._units().deliver(shipment_id, units, now)
        self._fulfil()
        self._record(actor, DomainEvent("order.delivered", units=delivered), *self._complete())

    def _complete(self) -> list[DomainEvent]:
        """It is COMPLETED as soon as everything is delivered and paid, whichever comes last."""
        done = self.fulfilment_state in _ALL_DELIVERED and self.payment.state in PAID
        if not done or self.state is not OrderState.CONFIRMED:
            return []
        self._move(OrderState.COMPLETED)
        return [DomainEvent("order.completed")]

    def _units(self) -> Fulfilment:
        assert self.fulfilment is not None, "loaded with `OrderRepository.lock_units`"
        return self.fulfilment

    def _fulfil(self) -> None:
        state = self._units().state
        self.fulfilment_state = move(FULFILMENT_MOVES, self.fulfilment_state, state, self.order_id)

    def _end(self, state: OrderState, reason: str) -> None:
        self._move(state)
        self.reason, self.releases_stock = reason, True
        if self.payment.state is PaymentState.PENDING and not self.payment.provider_contacted:
            self.payment.move(PaymentState.VOIDED)  # the provider does not know of it

    def _move(self, state: OrderState) -> None:
        self.state = move(ORDER_MOVES, self.state, state, self.order_id)

    def _require_open(self, doing: str) -> None:
        if not self.open:
            raise OrderMoveRefused(f"{self.order_id} is {self.state}: too late to {doing}")

    def _record(self, actor: str, *domain_events: DomainEvent, change: str = "", cause: str = "") -> None:
        self.actor, self.cause = actor, cause
        self.change = change or domain_events[0].type
        self.version += 1
        self.domain_events.extend(domain_events)
