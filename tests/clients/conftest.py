"""Fakes to call and clients to call them with, in both flavours."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from weft_client import Bearer, Plaintext, testing

from tests.clients.flavours import Asyncio, Blocking

Connect = Callable[..., Any]


@pytest.fixture
def fakes() -> Iterator[testing.Fakes]:
    """A server of fakes."""
    with testing.Fakes() as served:
        yield served


@pytest_asyncio.fixture(params=[Asyncio, Blocking], ids=["asyncio", "blocking"])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    """`connect(address, …)`: a client in the flavour at hand, closed at the end."""
    made: list[Any] = []

    def client(address: Any, **options: Any) -> Any:
        made.append(request.param(address, **{"tls": Plaintext(), "auth": Bearer("test"), **options}))
        return made[-1]

    yield client
    for each in made:
        await each.close()
