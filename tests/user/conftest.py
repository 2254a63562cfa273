"""The user service on a real socket, with people, operators and clients who use its own RPCs."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from chassis.clock import FixedClock
from services.user.__main__ import build
from tests.harness import Harness
from tests.user.world import Person, World

Start = Callable[..., AbstractAsyncContextManager[World]]


@pytest.fixture(autouse=True)
def patient_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is throttled is let through while the cache is slow, and these tests count: a busy machine is no outage."""
    monkeypatch.setattr("chassis.storage.valkey.COMMAND_TIMEOUT_S", 10.0)


@pytest.fixture
def start(harness: Harness, clock: FixedClock) -> Start:
    """Starts the service: `async with start() as world:`; settings by name."""

    @asynccontextmanager
    async def started(**more: object) -> AsyncIterator[World]:
        # Events stay in the outbox, to be looked at.
        async with harness.running("user", build, clock, **{"work": False, **more}) as running:
            yield World(running, harness, clock)

    return started


@pytest.fixture
async def world(start: Start) -> AsyncIterator[World]:
    """The service as it is."""
    async with start() as world:
        yield world


@pytest.fixture
async def operator(world: World) -> Person:
    """An operator, signed in."""
    return await world.operator()
