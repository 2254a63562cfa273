"""How an order and its payment move, without a database."""

import pytest

from services.order.domain.order import Order, OrderMoveRefused, OrderNotCancellable, OrderState, Step
from services.order.domain.payment import FailureCode, Payment, PaymentMoveRefused, PaymentState

P, O = PaymentState, OrderState  # noqa: E741


def order(state: OrderState = O.PENDING, payment_state: PaymentState = P.PENDING, asked: bool = True) -> Order:
    captured = 500 if payment_state in (P.CAPTURED, P.PARTIALLY_REFUNDED, P.REFUNDED) else 0
    payment = Payment("pay_1", "pm_sandbox_ok", 500, "EUR", payment_state, asked=asked, captured_minor=captured)
    return Order("ord_1", "usr_1", "", "EUR", 500, state, "", 1, 1, payment)


def facts(of: Order) -> list[tuple[str, str, int]]:
    return [(fact.type, fact.reason, fact.amount_minor) for fact in of.facts]


def test_the_straight_way_is_authorise_confirm_capture() -> None:
    one = order()
    assert one.next_step() is Step.AUTHORISE
    one.confirm("service:order")
    assert (one.state, one.payment.state, one.version, one.next_step()) == (O.CONFIRMED, P.AUTHORIZED, 2, Step.CAPTURE)
    one.capture("service:order")
    assert (one.payment.state, one.payment.captured_minor, one.version) == (P.CAPTURED, 500, 3)
    assert one.next_step() is Step.NOTHING
    assert facts(one) == [("order.confirmed", "", 0), ("payment.captured", "", 500)]


def test_a_refusal_calls_the_order_off() -> None:
    one = order()
    one.fail("insufficient funds", FailureCode.INSUFFICIENT_FUNDS, "service:order")
    assert (one.state, one.payment.state, one.reason) == (O.CANCELLED, P.FAILED, "insufficient funds")
    assert one.releases
    assert one.next_step() is Step.NOTHING
    assert facts(one) == [("payment.failed", "insufficient funds", 0), ("order.cancelled", "insufficient funds", 0)]


def test_a_provider_that_is_silent_is_asked_what_became_of_it_never_told_again() -> None:
    one = order()
    one.wait("service:order")
    assert (one.payment.state, one.next_step()) == (P.PROCESSING, Step.FIND)
    one.confirm("service:order")
    assert one.next_step() is Step.CAPTURE


def test_an_order_that_nobody_was_asked_to_pay_is_void_at_once() -> None:
    one = order(asked=False)
    one.cancel("too slow", "usr_1")
    assert (one.state, one.payment.state, one.next_step(), one.actor) == (O.CANCELLED, P.VOIDED, Step.NOTHING, "usr_1")
    assert facts(one) == [("order.cancelled", "too slow", 0)]


@pytest.mark.parametrize("state", [P.PENDING, P.PROCESSING, P.AUTHORIZED, P.CAPTURED])
def test_what_the_provider_may_hold_is_given_back(state: PaymentState) -> None:
    one = order(O.PENDING if state in (P.PENDING, P.PROCESSING) else O.CONFIRMED, state)
    one.cancel("", "usr_1")
    assert (one.payment.state, one.next_step(), one.releases) == (state, Step.GIVE_BACK, True)
    one.refund("service:order")
    assert (one.payment.state, one.payment.captured_minor, one.payment.refunded_minor) == (P.REFUNDED, 500, 500)
    assert facts(one)[-1] == ("payment.refunded", "", 500)
    assert one.next_step() is Step.NOTHING


def test_a_promise_is_let_go() -> None:
    one = order(O.CONFIRMED, P.AUTHORIZED)
    one.cancel("", "usr_1")
    one.void("service:order")
    assert (one.payment.state, one.payment.captured_minor, one.next_step()) == (P.VOIDED, 0, Step.NOTHING)


@pytest.mark.parametrize("state", [O.COMPLETED, O.CANCELLED, O.EXPIRED])
def test_an_order_that_has_ended_cannot_be_cancelled(state: OrderState) -> None:
    with pytest.raises(OrderNotCancellable) as caught:
        order(state).cancel("", "usr_1")
    assert caught.value.metadata == {"order_id": "ord_1", "state": state.value}


def test_only_a_pending_order_expires() -> None:
    one = order(asked=False)
    one.expire("service:order")
    assert (one.state, one.payment.state, one.reason, one.releases) == (O.EXPIRED, P.VOIDED, "not paid in time", True)
    for state in (O.CONFIRMED, O.COMPLETED, O.CANCELLED, O.EXPIRED):
        with pytest.raises(OrderMoveRefused):
            order(state).expire("service:order")


def test_answers_that_come_late_move_nothing() -> None:
    for move in (
        lambda one: one.confirm("x"),
        lambda one: one.capture("x"),
        lambda one: one.fail("y", FailureCode.DECLINED, "x"),
        lambda one: one.wait("x"),
    ):
        late = order(O.CANCELLED, P.AUTHORIZED)
        with pytest.raises(OrderMoveRefused):
            move(late)
        assert (late.version, late.facts) == (1, [])


@pytest.mark.parametrize("state", list(P))
def test_no_payment_goes_back(state: PaymentState) -> None:
    """From whatever can be reached, the state itself can never be reached again, partial refunds aside."""
    seen, ahead = set(), [state]
    while ahead:
        at = ahead.pop()
        for to in P:
            one = Payment("pay_1", "m", 500, "EUR", at)
            try:
                one.move(to)
            except PaymentMoveRefused:
                continue
            if to not in seen:
                seen.add(to)
                ahead.append(to)
    assert state not in seen - {P.PARTIALLY_REFUNDED}
