"""The order service over a real socket, and short ways to talk to it."""

from collections.abc import AsyncIterator

import pytest

from tests.harness import Harness
from tests.order.shop import Shop
from tests.order.users import Users, serving


@pytest.fixture
async def users(harness: Harness) -> AsyncIterator[Users]:
    """The user service's answers."""
    known = Users()
    async with serving(known, harness.certificates) as known.address:
        yield known


@pytest.fixture
async def shop(harness: Harness, users: Users) -> AsyncIterator[Shop]:
    """The order service at work, payments included."""
    async with harness.running("order", peers={"user": [users.address]}) as running:
        yield Shop(running, harness.issuer)


@pytest.fixture
async def quiet_shop(harness: Harness, users: Users) -> AsyncIterator[Shop]:
    """The order service without workers: payments stay where they are."""
    async with harness.running("order", peers={"user": [users.address]}, work=False) as running:
        yield Shop(running, harness.issuer)
