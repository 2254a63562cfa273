"""The rules of an order: how it, its payment and its fulfilment change until they end."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from chassis.errors import require_etag
from services.order.domain.changes import (
    NO_DETAILS,
    Details,
    DomainEvent,
    OrderMoveRefused,
    RefundChange,
    RefundState,
    Step,
)
from services.order.domain.fulfilment import Fulfilment, Quantities
from services.order.domain.payment import BY_HAND, FailureCode, Payment, Refund
from services.order.domain.refusals import (
    OrderAlreadyShipped,
    OrderNotCancellable,
    OrderNotShippable,
    OrderNotUpdatable,
    OrderPaidByBankTransfer,
    PaymentMethodRequired,
    PaymentNotCapturable,
    PaymentNotConfirmable,
    PaymentNotRefundable,
)
from services.order.domain.returns import Return, ReturnState
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

_ALL_DELIVERED = (FulfilmentState.DELIVERED, FulfilmentState.PARTIALLY_RETURNED, FulfilmentState.RETURNED)
_ALL_SHIPPED = (FulfilmentState.SHIPPED, *_ALL_DELIVERED)


@dataclass(slots=True)
class Order:
    """An order and its payment, which change together: one version counts the changes of both.

    Its methods add to `domain_events` what is to be emitted, and set `actor` to who did it, `change` to what was done and
    `cause` to why; `releases_stock` says that its stock is available again,
    `restocked` which units of it are, `details` what the buyer says anew, `wakes_worker` that the payment may need a step. `event_count`: events emitted before.
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
        self._move(OrderState.CONFIRMED)
        self._record(actor, DomainEvent("order.confirmed"))

    def require_action(self, url: str, actor: str) -> None:
        """The payer must act before the provider decides."""
        self._require_open("require action")
        self.payment.require_action(url)
        self._record(actor, DomainEvent("payment.action_required", url=url))

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
        self._record(actor, change="payment.confirmed", wakes=True)

    def wait(self, actor: str) -> None:
        """The provider did not say whether it authorized the payment."""
        self._require_open("wait")
        self.payment.move(PaymentState.PROCESSING)
        self._record(actor, change="payment.processing")

    def request_capture(self, amount_minor: int, actor: str) -> None:
        """Raises as `Payment.request_capture`."""
        if not self.open:
            raise PaymentNotCapturable(payment_id=self.payment.payment_id, state=self.payment.state)
        self.payment.request_capture(amount_minor)
        self._record(actor, change="payment.capture_requested", wakes=True)

    def capture(self, actor: str, amount_minor: int = 0) -> None:
        """The money was received; 0 for all of it."""
        self._require_open("capture")
        captured = self.payment.capture(amount_minor)
        self._record(actor, DomainEvent("payment.captured", amount_minor=captured), *self._complete())

    def fail(self, reason: str, code: FailureCode, actor: str) -> None:
        """The provider declined. A PENDING order waits for another method; one whose goods have not left is cancelled."""
        self._require_open("fail")
        self.payment.fail(reason, code)
        events = [DomainEvent("payment.failed", reason, code=code)]
        if self.state is OrderState.CONFIRMED and self.fulfilment_state is FulfilmentState.UNFULFILLED:
            self._end(OrderState.CANCELLED, reason)
            events.append(DomainEvent("order.cancelled", reason))
        self.reason = reason
        self._record(actor, *events, cause=reason)

    def request_refund(self, refund_id: str, amount_minor: int, reason: str, actor: str, return_id: str = "") -> None:
        """Have a part of what was captured refunded; 0 for the rest. Raises as `Payment.request_refund`."""
        if self.state in (OrderState.CANCELLED, OrderState.EXPIRED):
            raise PaymentNotRefundable(payment_id=self.payment.payment_id, state=self.payment.state)
        refund = self.payment.request_refund(refund_id, amount_minor)
        self.refund_change = RefundChange(refund, RefundState.PENDING, reason, actor, return_id)
        self._record(actor, change="payment.refund_requested", cause=reason, wakes=True)

    def mark_paid(self, reference: str, reason: str, actor: str) -> None:
        """It was paid by bank transfer while it is PENDING. Raises as `Payment.mark_paid`."""
        if self.state is not OrderState.PENDING:
            raise PaymentNotConfirmable(payment_id=self.payment.payment_id, state=self.payment.state)
        self.payment.mark_paid(reference)
        self._move(OrderState.CONFIRMED)
        captured = DomainEvent("payment.captured", amount_minor=self.payment.captured_minor)
        self.reason = ""
        self._record(actor, DomainEvent("order.confirmed"), captured, cause=reason)

    def record_refund(self, refund_id: str, amount_minor: int, reference: str, reason: str, actor: str) -> None:
        """What came by bank transfer went back so: for the refund that waits for it, or as one of its own.

        Raises `PaymentNotRefundable` for what a provider collected: it gives it back itself. Otherwise as `request_refund`.
        """
        payment, waiting = self.payment, self.payment.refund
        if not payment.by_hand:
            raise PaymentNotRefundable(payment_id=payment.payment_id, state=payment.state)
        if waiting is None or amount_minor not in (0, waiting.amount_minor):
            self.request_refund(refund_id, amount_minor, reason, actor)
            assert self.refund_change is not None
            waiting = self.refund_change.refund
            self.version -= 1  # one change with what follows
        self.payment.settle_refund(waiting, f"{BY_HAND}{reference}")
        self.refund_change = RefundChange(waiting, RefundState.SUCCEEDED, reason, actor)
        event = DomainEvent("payment.refunded", amount_minor=waiting.amount_minor, refund_id=waiting.refund_id)
        self._record(actor, event, cause=reason)

    def settle_refund(self, reference: str, actor: str) -> None:
        """The provider made the next refund."""
        refund = self._next_refund()
        self.payment.settle_refund(refund, reference)
        self.refund_change = RefundChange(refund, RefundState.SUCCEEDED)
        event = DomainEvent("payment.refunded", amount_minor=refund.amount_minor, refund_id=refund.refund_id)
        self._record(actor, event)

    def drop_refund(self, reason: str, actor: str) -> None:
        """The provider refused the next refund."""
        refund = self._next_refund()
        self.payment.drop_refund(refund)
        self.refund_change = RefundChange(refund, RefundState.FAILED, reason)
        amount, refund_id = refund.amount_minor, refund.refund_id
        event = DomainEvent("payment.refund_failed", reason, amount_minor=amount, refund_id=refund_id)
        self._record(actor, event, cause=reason)

    def charge_back(self, amount_minor: int, actor: str) -> None:
        """The payer's bank took money back; 0 for all of it."""
        amount = self.payment.charge_back(amount_minor)
        self._record(actor, DomainEvent("payment.charged_back", amount_minor=amount))

    def reverse_charge_back(self, actor: str) -> None:
        """The bank gave it to us again."""
        amount = self.payment.reverse_charge_back()
        event = DomainEvent("payment.charge_back_reversed", amount_minor=amount)
        self._record(actor, event, *self._complete(), wakes=True)

    def update(self, details: Details, etag: str, actor: str) -> bool:
        """What the buyer says has changed; False for nothing.

        Raises `OrderNotUpdatable` if it was cancelled or has expired, `OrderAlreadyShipped` if a unit has left, and `EtagMismatch` if the
        caller saw another version.
        """
        if self.state in (OrderState.CANCELLED, OrderState.EXPIRED):
            raise OrderNotUpdatable(order_id=self.order_id, state=self.state)
        if self.fulfilment_state is not FulfilmentState.UNFULFILLED:
            raise OrderAlreadyShipped(order_id=self.order_id)
        require_etag(etag, str(self.version))
        if not details.named:
            return False
        self.details = details
        self._record(actor, DomainEvent("order.updated", fields=details.named))
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
        self._record(actor, DomainEvent("order.cancelled", reason), cause=reason, wakes=True)

    def expire(self, actor: str) -> None:
        """It was not paid in time. Raises `OrderMoveRefused` unless it is PENDING.

        The order is not locked: the provider may be asked to authorize its payment at this moment, so it is always reversed there.
        """
        if self.state is not OrderState.PENDING:
            raise OrderMoveRefused(f"{self.order_id} is {self.state} and cannot expire")
        self._end(OrderState.EXPIRED, "not paid in time")
        self._record(actor, DomainEvent("order.expired"), cause=self.reason, wakes=True)

    def void(self, actor: str) -> None:
        """The provider voided the authorization, or never authorized anything."""
        self.payment.void()
        self._record(actor, change="payment.voided")

    def refund(self, captured_minor: int, actor: str) -> None:
        """The provider gave back all that it had captured."""
        self._record(actor, DomainEvent("payment.refunded", amount_minor=self.payment.refund_all(captured_minor)))

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
        if self.payment.state is PaymentState.AUTHORIZED and not self.payment.to_capture_minor:
            self.payment.request_capture(0)
        self._record(actor, DomainEvent("order.shipped", shipment=shipment), wakes=True)

    def deliver(self, shipment_id: str, units: Quantities, actor: str, now: datetime) -> None:
        """Units have arrived: all that are on their way if `units` is empty. Raises as `Fulfilment.deliver`."""
        delivered = self._units().deliver(shipment_id, units, now)
        self._fulfil()
        self._record(actor, DomainEvent("order.delivered", units=delivered), *self._complete())

    def request_return(self, return_id: str, units: Quantities, reason: str, actor: str, now: datetime) -> None:
        """The buyer asks to send units back; all that can be if `units` is empty. Raises as `Returns.request`."""
        made = self._units().returns.request(return_id, units, self._units().delivered, reason, now)
        self._record(actor, DomainEvent("order.return_requested", reason, returned=made), cause=reason)

    def decide_return(self, return_id: str, state: ReturnState, reason: str, actor: str, now: datetime) -> None:
        """It was approved or refused. Raises as `Returns.decide`."""
        made = self._units().returns.decide(return_id, state, reason, now)
        self._record(actor, DomainEvent(f"order.return_{state.lower()}", reason, returned=made), cause=reason)

    def receive_return(self, return_id: str, units: Quantities, refund_id: str, actor: str, now: datetime) -> None:
        """Units have come back: what was paid for them is refunded. Raises as `Returns.receive` and `Payment.request_refund`."""
        made, self.restocked = self._units().returns.receive(return_id, units, now)
        self._fulfil()
        amount = self._refund_returned(made, refund_id, actor)
        event = DomainEvent("order.return_received", amount_minor=amount, returned=made, units=self.restocked)
        self._record(actor, replace(event, refund_id=refund_id) if amount else event, wakes=True)

    def _refund_returned(self, made: Return, refund_id: str, actor: str) -> int:
        """What is refunded for the units that came back: their price, as far as it was paid and has not gone back already."""
        if self.payment.state is PaymentState.AUTHORIZED:  # the capture is on its way, and then this is possible
            raise PaymentNotRefundable(payment_id=self.payment.payment_id, state=self.payment.state)
        amount = min(self._units().paid_minor(self.restocked), self.payment.refundable_minor)
        if amount:
            refund = self.payment.request_refund(refund_id, amount)
            self.refund_change = RefundChange(refund, RefundState.PENDING, "returned", actor, made.return_id)
            made.refund_minor += amount
        return amount

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

    def _move(self, state: OrderState) -> None:
        self.state = move(ORDER_MOVES, self.state, state, self.order_id)

    def _require_open(self, doing: str) -> None:
        if not self.open:
            raise OrderMoveRefused(f"{self.order_id} is {self.state}: too late to {doing}")

    def _next_refund(self) -> Refund:
        if self.payment.refund is None:
            raise OrderMoveRefused(f"{self.order_id} has no refund to make")
        return self.payment.refund

    def _record(
        self, actor: str, *domain_events: DomainEvent, change: str = "", cause: str = "", wakes: bool = False
    ) -> None:
        self.actor, self.cause, self.wakes_worker = actor, cause, wakes
        self.change = change or domain_events[0].type
        self.version += 1
        self.domain_events.extend(domain_events)
