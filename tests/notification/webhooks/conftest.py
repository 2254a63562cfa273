"""A receiver, and the service that may send to it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from tests.notification.conftest import Service, Start
from tests.notification.webhooks.receiver import Partner, Receiver, receiving

Serve = Callable[..., AbstractAsyncContextManager[Service]]


@pytest.fixture
async def hooks() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
def serve(start: Start, hooks: Receiver) -> Serve:
    """Starts the service with the receiver allowed, and a schedule of milliseconds."""

    @asynccontextmanager
    async def serving(**more: Any) -> AsyncIterator[Service]:
        settings = {"webhook_allowed": hooks.allowed, "webhook_time_scale": 0.00001, "webhook_timeout": 0.5, **more}
        async with start(**settings) as service:
            yield service

    return serving


@pytest.fixture
async def sending(serve: Serve) -> AsyncIterator[Service]:
    async with serve() as service:
        yield service


@pytest.fixture
def partner(sending: Service) -> Partner:
    return Partner(sending.harness, sending.running)
