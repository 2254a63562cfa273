"""The model of orders and payments: a few random sequences in `make test`, many in `make soak`; and the races."""

import asyncio

import grpc
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from chassis.clock import FixedClock
from services.order.orders.expiry import MAX_PENDING_TIME
from tests.harness import Harness, Refusal, refusal
from tests.order.payments.model import Model
from tests.order.payments.test_money import AT_SHIPMENT, advance, capture, ledger, settle, states
from tests.order.payments.till import CANCELLED, CONFIRMED, EXPIRED, REFUNDED, VOIDED, Till
from tests.order.shop import Shop


@pytest.fixture
async def till(harness: Harness, clock: FixedClock):
    async with harness.running("order", clock=clock, work=False) as running:
        yield Till(Shop(running, harness.issuer))


@pytest.mark.parametrize("examples", [15, pytest.param(300, marks=[pytest.mark.soak])])
async def test_whatever_happens_books_and_stock_are_right(till: Till, examples: int) -> None:
    loop = asyncio.get_running_loop()
    few = settings(
        max_examples=examples,
        stateful_step_count=30,
        deadline=None,
        database=None,
        derandomize=examples == 15,
        phases=(Phase.generate,) if examples == 15 else tuple(Phase),  # a shorter sequence is looked for in `make soak`
        suppress_health_check=list(HealthCheck),
    )
    await asyncio.to_thread(run_state_machine_as_test, lambda: Model(till, loop), settings=few)


def refused_of(results: list) -> list[Refusal]:
    """The refusals among the results of concurrent calls; any other error is raised."""
    failed = [result for result in results if isinstance(result, BaseException)]
    for error in failed:
        if not isinstance(error, grpc.RpcError):
            raise error
    return [refusal(error) for error in failed]


@pytest.mark.parametrize("ends", ["cancel", "expire"])
async def test_an_order_that_ends_while_it_is_paid_or_captured_keeps_no_money(till: Till, ends: str) -> None:
    ink = await till.shop.product(stock=20)
    placed = [await till.shop.order((ink, 1), capture=AT_SHIPMENT) for _ in range(10)]
    if ends == "cancel":
        await till.run()
        ending = [till.shop.cancel(order.order_id) for order in placed]
        paying = [capture(till, order) for order in placed]
        refusals = refused_of(await asyncio.gather(*ending, *paying, till.run(), return_exceptions=True))
        assert {r.reason for r in refusals} <= {"PAYMENT_NOT_CAPTURABLE"}, "every cancellation succeeds"
    else:
        advance(till, MAX_PENDING_TIME)
        advance(till, MAX_PENDING_TIME)
        await asyncio.gather(till.run(), till.expiry.run())
    await settle(till)
    for order in placed:
        state, payment_state = await states(till, order)
        rows = await ledger(till, order)
        kept = sum(a for k, a in rows if k == "CAPTURED") - sum(a for k, a in rows if k == "REFUNDED")
        if state == CONFIRMED:
            assert ends == "expire"
        else:
            assert state == (CANCELLED if ends == "cancel" else EXPIRED)
            assert (payment_state in (VOIDED, REFUNDED), kept) == (True, 0)
    ended = [order for order in placed if (await states(till, order))[0] != CONFIRMED]
    assert await till.shop.stock(ink) == 10 + len(ended)


async def test_the_last_item_is_sold_once_to_fifty_at_once(till: Till) -> None:
    ink = await till.shop.product(stock=1)
    results = await asyncio.gather(*(till.shop.order((ink, 1)) for _ in range(50)), return_exceptions=True)
    assert [refusal.reason for refusal in refused_of(results)] == ["OUT_OF_STOCK"] * 49
    await settle(till)
    assert (await till.charges(), await till.shop.stock(ink)) == (["CAPTURED"], 0)
