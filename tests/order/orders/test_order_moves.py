"""The state changes of an order and its payment, without a database."""

from datetime import UTC, datetime

import pytest

from services.order.domain.changes import OrderMoveRefused, Step
from services.order.domain.new_order import NewOrder, OrderDraft
from services.order.domain.order import Order
from services.order.domain.payment import FailureCode, Payment
from services.order.domain.pricing import Line, Price
from services.order.domain.product import Product
from services.order.domain.refusals import OrderNotCancellable, PaymentMethodRequired
from services.order.domain.states import OrderState, PaymentState

P, O = PaymentState, OrderState  # noqa: E741


def order(state: OrderState = O.PENDING, payment_state: PaymentState = P.PENDING, contacted: bool = True) -> Order:
    captured = 500 if payment_state in (P.CAPTURED, P.PARTIALLY_REFUNDED, P.REFUNDED) else 0
    payment = Payment(
        "pay_1", "pm_sandbox_ok", 500, "EUR", payment_state, provider_contacted=contacted, captured_minor=captured
    )
    return Order("ord_1", "usr_1", "", "EUR", 500, state, "", 1, 1, payment)


def emitted(of: Order) -> list[tuple[str, str, int]]:
    return [(event.type, event.reason, event.amount_minor) for event in of.domain_events]


def test_a_new_order_is_pending_and_emits_order_placed() -> None:
    draft = OrderDraft("usr_1", "", {"prd_1": 2}, "pm_sandbox_ok", "ref", "note", "usr_1")
    price = Price([Line("prd_1", "Ink", 2, 250)], 500, "EUR")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    ink = Product("prd_1", "", "Ink", 250, "EUR", 9, True, 7, now, now)
    new = NewOrder.place("ord_1", "0000-0000-0000", "pay_1", draft, price, [ink], now)
    assert (new.state, new.version, new.domain_event.type) == (O.PENDING, 1, "order.placed")
    assert new.payment == Payment("pay_1", "pm_sandbox_ok", 500, "EUR")
    assert (new.payment.state, new.payment.provider_contacted) == (P.PENDING, False)


def test_a_payment_is_authorized_confirmed_and_captured() -> None:
    one = order()
    assert one.next_step() is Step.AUTHORIZE
    one.confirm("service:order")
    assert (one.state, one.payment.state, one.version, one.next_step()) == (O.CONFIRMED, P.AUTHORIZED, 2, Step.CAPTURE)
    one.capture("service:order")
    assert (one.payment.state, one.payment.captured_minor, one.version) == (P.CAPTURED, 500, 3)
    assert one.next_step() is Step.NONE
    assert emitted(one) == [("order.confirmed", "", 0), ("payment.captured", "", 500)]


def test_an_order_waits_for_another_method_after_a_decline() -> None:
    one = order()
    one.fail("insufficient funds", FailureCode.INSUFFICIENT_FUNDS, "service:order")
    assert (one.state, one.payment.state, one.reason) == (O.PENDING, P.FAILED, "insufficient funds")
    assert (one.releases_stock, one.next_step()) == (False, Step.NONE)
    assert emitted(one) == [("payment.failed", "insufficient funds", 0)]
    with pytest.raises(PaymentMethodRequired):
        one.act("", "usr_1")
    one.act("pm_sandbox_ok", "usr_1")
    assert (one.payment.state, one.payment.idempotency_key, one.next_step()) == (P.PENDING, "pay_1/2", Step.AUTHORIZE)


def test_an_order_whose_authorization_ends_before_its_goods_leave_is_cancelled() -> None:
    one = order(O.CONFIRMED, P.AUTHORIZED)
    one.fail("lapsed", FailureCode.DECLINED, "service:order")
    assert (one.state, one.payment.state, one.releases_stock) == (O.CANCELLED, P.FAILED, True)
    assert emitted(one) == [("payment.failed", "lapsed", 0), ("order.cancelled", "lapsed", 0)]


def test_a_charge_without_a_response_is_looked_up_and_not_authorized_again() -> None:
    one = order()
    one.wait("service:order")
    assert (one.payment.state, one.next_step()) == (P.PROCESSING, Step.FIND)
    one.confirm("service:order")
    assert one.next_step() is Step.CAPTURE


def test_a_payment_that_the_provider_does_not_know_is_voided_immediately() -> None:
    one = order(contacted=False)
    one.cancel("too slow", "usr_1")
    assert (one.state, one.payment.state, one.next_step(), one.actor) == (O.CANCELLED, P.VOIDED, Step.NONE, "usr_1")
    assert emitted(one) == [("order.cancelled", "too slow", 0)]


@pytest.mark.parametrize("state", [P.PENDING, P.PROCESSING, P.AUTHORIZED, P.CAPTURED])
def test_the_payment_of_a_cancelled_order_is_reversed(state: PaymentState) -> None:
    one = order(O.PENDING if state in (P.PENDING, P.PROCESSING) else O.CONFIRMED, state)
    one.cancel("", "usr_1")
    assert (one.payment.state, one.next_step(), one.releases_stock) == (state, Step.REVERSE, True)
    one.refund(500, "service:order")
    assert (one.payment.state, one.payment.captured_minor, one.payment.refunded_minor) == (P.REFUNDED, 500, 500)
    assert emitted(one)[-1] == ("payment.refunded", "", 500)
    assert one.next_step() is Step.NONE


def test_an_authorized_payment_is_voided() -> None:
    one = order(O.CONFIRMED, P.AUTHORIZED)
    one.cancel("", "usr_1")
    one.void("service:order")
    assert (one.payment.state, one.payment.captured_minor, one.next_step()) == (P.VOIDED, 0, Step.NONE)


@pytest.mark.parametrize("state", [O.COMPLETED, O.CANCELLED, O.EXPIRED])
def test_an_order_that_has_ended_cannot_be_cancelled(state: OrderState) -> None:
    with pytest.raises(OrderNotCancellable) as caught:
        order(state).cancel("", "usr_1")
    assert caught.value.metadata == {"order_id": "ord_1", "state": state.value}


def test_only_a_pending_order_expires() -> None:
    one = order(contacted=False)
    one.expire("service:order")
    assert (one.state, one.payment.state, one.reason, one.releases_stock) == (
        O.EXPIRED,
        P.PENDING,
        "not paid in time",
        True,
    )
    assert one.next_step() is Step.REVERSE, "the provider may be asked at this moment"
    for state in (O.CONFIRMED, O.COMPLETED, O.CANCELLED, O.EXPIRED):
        with pytest.raises(OrderMoveRefused):
            order(state).expire("service:order")


def test_late_responses_change_nothing() -> None:
    for move in (
        lambda one: one.confirm("x"),
        lambda one: one.capture("x"),
        lambda one: one.fail("y", FailureCode.DECLINED, "x"),
        lambda one: one.wait("x"),
    ):
        late = order(O.CANCELLED, P.AUTHORIZED)
        with pytest.raises(OrderMoveRefused):
            move(late)
        assert (late.version, late.domain_events) == (1, [])
