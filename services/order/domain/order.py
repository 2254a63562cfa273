"""The rules of an order: how it, its payment and its fulfilment change until they end."""

from dataclasses import dataclass, field

from chassis.values import etags
from services.order.domain.changes import (
    NO_DETAILS,
    Details,
    DomainEvent,
    Earlier,
    OrderMoveRefused,
    RefundChange,
    RefundState,
    Step,
)
from services.order.domain.fulfilment import Fulfilment, Quantities
from services.order.domain.payment import FailureCode, Payment, Refund
from services.order.domain.refusals import (
    OrderAlreadyShipped,
    OrderNotCancellable,
    OrderNotUpdatable,
    OrderPaidByBankTransfer,
    PaymentMethodRequired,
    PaymentNotCapturable,
    PaymentNotConfirmable,
    PaymentNotRefundable,
)
from services.order.domain.states import (
    FULFILMENT_MOVES,
    ORDER_MOVES,
    PAID,
    FulfilmentState,
    OrderState,
    PaymentState,
    move,
)

ALL_DELIVERED = (FulfilmentState.DELIVERED, FulfilmentState.PARTIALLY_RETURNED, FulfilmentState.RETURNED)


@dataclass(slots=True)
class Order:
    """An order and its payment, which change together: one version counts the changes of both.

    Its methods add to `domain_events` what is to be emitted, and set `actor` to who did it, `change` to what was done and
    `cause` to why; `earlier` are changes that are not written yet and came before; `releases_stock` says that its stock is available again,
    `restocked` which units of it are, `details` the buyer's new texts, `wakes_worker` that the payment may need a step. `event_count`: events emitted before.
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
    earlier: list[Earlier] = field(default_factory=list)
    domain_events: list[DomainEvent] = field(default_factory=list)
    releases_stock: bool = False
    wakes_worker: bool = False
    refund_change: RefundChange | None = None
    restocked: Quantities = field(default_factory=dict)
    details: Details = NO_DETAILS

    @property
    def open(self) -> bool:
        """Whether it has not ended."""
        return self.state in (OrderState.PENDING, OrderState.CONFIRMED)

    def next_step(self) -> Step:
        """What the payment needs next. Derived from what is stored alone, so any worker can resume after another one died."""
        payment = self.payment
        if payment.by_hand:
            return Step.NONE
        if payment.refund:  # also of a charge that the bank takes back meanwhile: the provider may have made it
            return Step.REFUND
        if self.state in (OrderState.CANCELLED, OrderState.EXPIRED):
            return Step.NONE if payment.ended else Step.REVERSE
        wanted = {
            PaymentState.PENDING: Step.AUTHORIZE,
            PaymentState.PROCESSING: Step.FIND,
            PaymentState.ACTION_REQUIRED: Step.CONFIRM if payment.confirming else Step.NONE,
            PaymentState.AUTHORIZED: Step.CAPTURE if payment.to_capture_minor else Step.NONE,
        }
        return wanted.get(payment.state, Step.NONE)

    def confirm(self, actor: str) -> None:
        """The provider authorized the payment."""
        self._require_open("confirm")
        self.payment.authorize()
        self.move(OrderState.CONFIRMED)
        self.record(actor, DomainEvent("order.confirmed"))

    def collect(self, actor: str, amount_minor: int = 0) -> None:
        """The provider authorized the payment and captured it, 0 for all of it: two changes, which are written together."""
        self.confirm(actor)
        self.earlier.append(Earlier(self.version, self.state, self.payment.state, self.change))
        self.capture(actor, amount_minor)

    def require_action(self, url: str, actor: str) -> None:
        """The payer must act before the provider decides."""
        self._require_open("require action")
        self.payment.require_action(url)
        self.record(actor, DomainEvent("payment.action_required", url=url))

    def act(self, method: str, actor: str) -> None:
        """The payer has acted, or tries again with another method after a decline, while the order is PENDING.

        Raises `PaymentNotConfirmable` or `PaymentMethodRequired`.
        """
        payment = self.payment
        if self.state is not OrderState.PENDING:
            raise PaymentNotConfirmable(payment_id=payment.payment_id, state=payment.state)
        if payment.state is PaymentState.FAILED:
            if not method:
                raise PaymentMethodRequired(payment_id=payment.payment_id)
            payment.begin_attempt(method)
        elif payment.state is PaymentState.ACTION_REQUIRED and method in ("", payment.method):
            payment.confirming = True
        else:
            raise PaymentNotConfirmable(payment_id=payment.payment_id, state=payment.state)
        self.record(actor, change="payment.confirmed", wakes=True)

    def wait(self, actor: str) -> None:
        """The provider did not say whether it authorized the payment."""
        self._require_open("wait")
        self.payment.move(PaymentState.PROCESSING)
        self.record(actor, change="payment.processing")

    def request_capture(self, amount_minor: int, actor: str) -> None:
        """Raises as `Payment.request_capture`."""
        if not self.open:
            raise PaymentNotCapturable(payment_id=self.payment.payment_id, state=self.payment.state)
        self.payment.request_capture(amount_minor)
        self.record(actor, change="payment.capture_requested", wakes=True)

    def capture(self, actor: str, amount_minor: int = 0) -> None:
        """The money was received; 0 for all of it."""
        self._require_open("capture")
        captured = self.payment.capture(amount_minor)
        self.record(actor, DomainEvent("payment.captured", amount_minor=captured), *self.complete())

    def fail(self, reason: str, code: FailureCode, actor: str) -> None:
        """The provider declined. A PENDING order waits for another method; one whose goods have not left is cancelled."""
        self._require_open("fail")
        self.payment.fail(reason, code)
        events = [DomainEvent("payment.failed", reason, code=code)]
        if self.state is OrderState.CONFIRMED and self.fulfilment_state is FulfilmentState.UNFULFILLED:
            self._end(OrderState.CANCELLED, reason)
            events.append(DomainEvent("order.cancelled", reason))
        self.reason = reason
        self.record(actor, *events, cause=reason)

    def request_refund(self, refund_id: str, amount_minor: int, reason: str, actor: str, return_id: str = "") -> None:
        """Have a part of what was captured refunded; 0 for the rest. Raises as `Payment.request_refund`."""
        if self.state in (OrderState.CANCELLED, OrderState.EXPIRED):
            raise PaymentNotRefundable(payment_id=self.payment.payment_id, state=self.payment.state)
        refund = self.payment.request_refund(refund_id, amount_minor)
        self.refund_change = RefundChange(refund, RefundState.PENDING, reason, actor, return_id)
        self.record(actor, change="payment.refund_requested", cause=reason, wakes=True)

    def settle_refund(self, reference: str, actor: str) -> None:
        """The provider made the next refund."""
        refund = self._next_refund()
        self.payment.settle_refund(refund, reference)
        self.refund_change = RefundChange(refund, RefundState.SUCCEEDED)
        event = DomainEvent("payment.refunded", amount_minor=refund.amount_minor, refund_id=refund.refund_id)
        self.record(actor, event)

    def drop_refund(self, reason: str, actor: str) -> None:
        """The provider refused the next refund."""
        refund = self._next_refund()
        self.payment.drop_refund(refund)
        self.refund_change = RefundChange(refund, RefundState.FAILED, reason)
        amount, refund_id = refund.amount_minor, refund.refund_id
        event = DomainEvent("payment.refund_failed", reason, amount_minor=amount, refund_id=refund_id)
        self.record(actor, event, cause=reason)

    def charge_back(self, amount_minor: int, actor: str) -> None:
        """The payer's bank took money back; 0 for all of it."""
        amount = self.payment.charge_back(amount_minor)
        self.record(actor, DomainEvent("payment.charged_back", amount_minor=amount))

    def reverse_charge_back(self, actor: str) -> None:
        """The bank gave it to us again."""
        amount = self.payment.reverse_charge_back()
        event = DomainEvent("payment.charge_back_reversed", amount_minor=amount)
        self.record(actor, event, *self.complete(), wakes=True)

    def update(self, details: Details, etag: str, actor: str) -> bool:
        """What the buyer says has changed; False for nothing.

        Raises `OrderNotUpdatable` if it was cancelled or has expired, `OrderAlreadyShipped` if a unit has left, and `EtagMismatch` if the
        caller saw another version.
        """
        if self.state in (OrderState.CANCELLED, OrderState.EXPIRED):
            raise OrderNotUpdatable(order_id=self.order_id, state=self.state)
        if self.fulfilment_state is not FulfilmentState.UNFULFILLED:
            raise OrderAlreadyShipped(order_id=self.order_id)
        etags.require(etag, self.version)
        if not details.named:
            return False
        self.details = details
        self.record(actor, DomainEvent("order.updated", fields=details.named))
        return True

    def cancel(self, reason: str, actor: str) -> None:
        """Raises `OrderNotCancellable` if it has ended already, `OrderAlreadyShipped` if a unit has left.

        Raises `OrderPaidByBankTransfer` while money is kept that no provider can give back.
        """
        if not self.open:
            raise OrderNotCancellable(order_id=self.order_id, state=self.state)
        if self.fulfilment_state is not FulfilmentState.UNFULFILLED:
            raise OrderAlreadyShipped(order_id=self.order_id)
        if self.payment.by_hand and not self.payment.ended:
            raise OrderPaidByBankTransfer(order_id=self.order_id)
        self._end(OrderState.CANCELLED, reason)
        if self.payment.state is PaymentState.PENDING and not self.payment.provider_contacted:
            self.payment.void()  # the provider does not know of it, and while the order is locked nobody tells it
        self.record(actor, DomainEvent("order.cancelled", reason), cause=reason, wakes=True)

    def expire(self, actor: str) -> None:
        """It was not paid in time. Raises `OrderMoveRefused` unless it is PENDING.

        The order is not locked: the provider may be asked to authorize its payment at this moment, so it is always reversed there.
        """
        if self.state is not OrderState.PENDING:
            raise OrderMoveRefused(f"{self.order_id} is {self.state} and cannot expire")
        self._end(OrderState.EXPIRED, "not paid in time")
        self.record(actor, DomainEvent("order.expired"), cause=self.reason, wakes=True)

    def void(self, actor: str) -> None:
        """The provider voided the authorization, or never authorized anything."""
        self.payment.void()
        self.record(actor, change="payment.voided")

    def refund(self, captured_minor: int, actor: str) -> None:
        """The provider gave back all that it had captured."""
        self.record(actor, DomainEvent("payment.refunded", amount_minor=self.payment.refund_all(captured_minor)))

    def complete(self) -> list[DomainEvent]:
        """It is COMPLETED as soon as everything is delivered and paid, whichever comes last."""
        done = self.fulfilment_state in ALL_DELIVERED and self.payment.state in PAID
        if not done or self.state is not OrderState.CONFIRMED:
            return []
        self.move(OrderState.COMPLETED)
        return [DomainEvent("order.completed")]

    @property
    def units(self) -> Fulfilment:
        """What happened to its units."""
        assert self.fulfilment is not None, "loaded with `OrderRepository.lock_units`"
        return self.fulfilment

    def fulfil(self) -> None:
        """Take the state of its units."""
        state = self.units.state
        self.fulfilment_state = move(FULFILMENT_MOVES, self.fulfilment_state, state, self.order_id)

    def record(
        self, actor: str, *domain_events: DomainEvent, change: str = "", cause: str = "", wakes: bool = False
    ) -> None:
        """Count a change, and keep who made it, what it was and which events it emits."""
        self.actor, self.cause, self.wakes_worker = actor, cause, wakes
        self.change = change or domain_events[0].type
        self.version += 1
        self.domain_events.extend(domain_events)

    def _end(self, state: OrderState, reason: str) -> None:
        self.move(state)
        self.reason, self.releases_stock = reason, True

    def move(self, state: OrderState) -> None:
        """To another state. Raises `OrderMoveRefused`."""
        self.state = move(ORDER_MOVES, self.state, state, self.order_id)

    def _require_open(self, doing: str) -> None:
        if not self.open:
            raise OrderMoveRefused(f"{self.order_id} is {self.state}: too late to {doing}")

    def _next_refund(self) -> Refund:
        if self.payment.refund is None:
            raise OrderMoveRefused(f"{self.order_id} has no refund to make")
        return self.payment.refund
