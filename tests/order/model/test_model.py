"""The model of orders and payments: a walk and a few random sequences in `make test`, many in `make soak`."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from chassis.clock import FixedClock
from tests.harness import Harness
from tests.order.model.machine import Model
from tests.order.model.market import Market
from tests.order.model.walk import walk
from tests.order.payments.calls import listed, reconciliation
from tests.order.payments.till import Till
from tests.order.shop import Shop
from tests.order.users import Users

FEW = 3


@pytest.fixture
async def till(harness: Harness, clock: FixedClock, users: Users):
    async with harness.running("order", clock=clock, work=False, peers={"user": [users.address]}) as running:
        yield Till(Shop(running, harness.issuer))


@pytest.mark.parametrize("examples", [FEW, pytest.param(200, marks=[pytest.mark.soak])])
async def test_whatever_happens_books_and_stock_are_right(till: Till, users: Users, examples: int) -> None:
    loop = asyncio.get_running_loop()
    await walk(Market(till, users))
    few = settings(
        max_examples=examples,
        stateful_step_count=10 if examples == FEW else 40,
        database=None,
        derandomize=examples == FEW,
        phases=(Phase.generate,)
        if examples == FEW
        else tuple(Phase),  # a shorter sequence is looked for in `make soak`
        suppress_health_check=list(HealthCheck),
    )
    await asyncio.to_thread(run_state_machine_as_test, lambda: Model(till, users, loop), settings=few)
    Market(till, users).advance(timedelta(days=1))
    assert (await reconciliation(till).run(), await listed(till)) == (0, []), "our books are the provider's"
