"""PostgreSQL crashes: watchers receive every acknowledged order, and every cursor stays valid."""

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


async def test_transaction_numbers_that_are_used_again_hide_no_order(
    harness: Harness, server: CrashingPostgres
) -> None:
    """The numbers of transactions that wrote nothing are used again after a crash; a cursor must not be one of them."""
    async with crashing.shop_of(harness, server) as shop:
        ink = await shop.product(stock=1000)
        watcher = crashing.Resuming(shop)
        expected: list[str] = []
        for crash in range(2):
            crashing.roll_back(server, 50)
            await watcher.begin()  # a cursor of now, after 50 unused numbers
            await asyncio.to_thread(server.crash)
            expected += [await crashing.placed(shop, ink, f"{crash}-{n}") for n in range(3)]
            await watcher.received(expected)
        assert watcher.seen == expected, "once each, in the order of their commits"
