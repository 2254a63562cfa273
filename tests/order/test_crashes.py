"""PostgreSQL crashes: what was acknowledged is told to whoever watches, and every cursor holds."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Harness
from tests.order import crashing
from tests.servers import CrashingPostgres


@pytest.fixture
def server(folder: Path) -> Iterator[CrashingPostgres]:
    """A server that may crash."""
    with crashing.crashing(folder / "crashing") as running:
        yield running


async def test_numbers_that_are_given_again_hide_no_order(harness: Harness, server: CrashingPostgres) -> None:
    """Transactions that left nothing behind give their numbers back at a crash; a cursor must not stand on one."""
    async with crashing.shop_of(harness, server) as shop:
        ink = await shop.product(stock=1000)
        watcher = crashing.Resuming(shop)
        expected: list[str] = []
        for crash in range(2):
            crashing.roll_back(server, 50)
            await watcher.begin()  # a cursor of now, with 50 numbers that nobody has
            await asyncio.to_thread(server.crash)
            expected += [await crashing.placed(shop, ink, f"{crash}-{n}") for n in range(3)]
            await watcher.told(expected)
        assert watcher.seen == expected, "once each, in the order of their commits"
