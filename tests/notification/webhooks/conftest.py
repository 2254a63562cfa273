"""A receiver, and the service that may send to it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
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
        settings = {"webhook_allowed": hooks.allowed, "webhook_time_scale": 0.00001, "webhook_timeout": 5.0, **more}
        async with start(**settings) as service:
            yield service

    return serving


@pytest.fixture
async def sending(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[Service]:
    """Patient, as five days of failures are a few seconds here: no endpoint is given up. Its parameter is settings."""
    monkeypatch.setattr("services.notification.webhooks.domain.GIVE_UP_AFTER", timedelta(days=5000))
    async with serve(**getattr(request, "param", {})) as service:
        yield service


@pytest.fixture
def partner(sending: Service) -> Partner:
    return Partner(sending.harness, sending.running)
