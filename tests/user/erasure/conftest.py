"""The three services, for the tests of erasure and export."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from chassis.clock import FixedClock
from services.user.__main__ import build
from tests.harness import Harness
from tests.user.erasure.mesh import Mesh
from tests.user.world import World


@pytest.fixture
async def mesh(harness: Harness, clock: FixedClock) -> AsyncIterator[Mesh]:
    async with AsyncExitStack() as stack:
        order = await stack.enter_async_context(harness.running("order", work=False))
        notification = await stack.enter_async_context(harness.running("notification"))
        peers = {"order": [order.address], "notification": [notification.address]}
        running = await stack.enter_async_context(harness.running("user", build, clock, peers=peers, work=False))
        yield Mesh(World(running, harness, clock), order, notification, harness)
