"""The three axes as data: every state can be reached, none is left unlawfully, and what people see follows from them."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest

from services.order.domain.states import (
    FULFILMENT_MOVES,
    ORDER_MOVES,
    PAYMENT_MOVES,
    DisplayState,
    FulfilmentState,
    MoveRefused,
    OrderState,
    PaymentState,
    display,
    move,
)
from services.order.messages import FULFILMENT_STATES, PAYMENT_STATES, STATES

AXES = [
    (OrderState.PENDING, ORDER_MOVES, STATES),
    (PaymentState.PENDING, PAYMENT_MOVES, PAYMENT_STATES),
    (FulfilmentState.UNFULFILLED, FULFILMENT_MOVES, FULFILMENT_STATES),
]
axis = pytest.mark.parametrize(("first", "moves", "contract"), AXES, ids=["order", "payment", "fulfilment"])


def reachable(first: Any, moves: Mapping[Any, frozenset[Any]]) -> set[Any]:
    seen, ahead = {first}, [first]
    while ahead:
        for state in moves[ahead.pop()] - seen:
            seen.add(state)
            ahead.append(state)
    return seen


@axis
def test_every_state_of_the_contract_is_reached_from_the_first(first: Any, moves: Any, contract: Any) -> None:
    assert {state.value for state in reachable(first, moves)} == contract.keys() - {"UNSPECIFIED"}


@axis
def test_a_move_that_the_table_lacks_is_refused(first: Any, moves: Any, contract: Any) -> None:
    for old, new in product(moves, moves):
        if new in moves[old]:
            assert move(moves, old, new, "x") is new
        else:
            with pytest.raises(MoveRefused, match=f"x is {old} and cannot become {new}"):
                move(moves, old, new, "x")


def test_money_that_moved_is_never_forgotten() -> None:
    """From a state in which money had moved no state is reached in which it had not."""
    moved = {
        PaymentState.CAPTURED,
        PaymentState.PARTIALLY_REFUNDED,
        PaymentState.REFUNDED,
        PaymentState.CHARGED_BACK,
    }
    for state in moved:
        assert reachable(state, PAYMENT_MOVES) <= moved


def test_every_display_state_is_shown_for_some_states() -> None:
    shown = {display(*states) for states in product(OrderState, PaymentState, FulfilmentState)}
    assert shown == set(DisplayState)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (("PENDING", "PENDING", "UNFULFILLED"), "AWAITING_PAYMENT"),
        (("PENDING", "PROCESSING", "UNFULFILLED"), "AWAITING_PAYMENT"),
        (("PENDING", "ACTION_REQUIRED", "UNFULFILLED"), "ACTION_REQUIRED"),
        (("PENDING", "FAILED", "UNFULFILLED"), "PAYMENT_FAILED"),
        (("CONFIRMED", "AUTHORIZED", "UNFULFILLED"), "CONFIRMED"),
        (("CONFIRMED", "REFUNDED", "UNFULFILLED"), "REFUNDED"),
        (("CONFIRMED", "CAPTURED", "PARTIALLY_SHIPPED"), "PARTIALLY_SHIPPED"),
        (("COMPLETED", "CAPTURED", "DELIVERED"), "DELIVERED"),
        (("COMPLETED", "REFUNDED", "RETURNED"), "RETURNED"),
        (("COMPLETED", "CHARGED_BACK", "DELIVERED"), "CHARGED_BACK"),
        (("CANCELLED", "REFUNDED", "UNFULFILLED"), "CANCELLED"),
        (("EXPIRED", "VOIDED", "UNFULFILLED"), "EXPIRED"),
    ],
)
def test_people_see_one_state(states: tuple[str, str, str], expected: str) -> None:
    order, payment, fulfilment = states
    assert display(OrderState(order), PaymentState(payment), FulfilmentState(fulfilment)) is DisplayState(expected)
