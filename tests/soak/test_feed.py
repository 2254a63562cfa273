"""A watcher that resumes while PostgreSQL crashes again and again under orders."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Harness
from tests.order import crashing
from tests.servers import CrashingPostgres

pytestmark = pytest.mark.soak
CRASHES = 12


@pytest.fixture
def server(folder: Path) -> Iterator[CrashingPostgres]:
    """A server that may crash."""
    with crashing.crashing(folder / "crashing") as running:
        yield running


async def test_nothing_is_missed_and_every_cursor_is_taken(harness: Harness, server: CrashingPostgres) -> None:
    async with crashing.shop_of(harness, server) as shop:
        ink = await shop.product(stock=1_000_000)
        watcher = crashing.Resuming(shop)
        await watcher.begin()
        following, acknowledged, over = asyncio.create_task(watcher.follow()), [], asyncio.Event()

        async def order(caller: int) -> None:
            while not over.is_set():
                acknowledged.append(await crashing.placed(shop, ink, f"{caller}-{len(acknowledged)}-{random.random()}"))

        callers = [asyncio.create_task(order(caller)) for caller in range(4)]
        for _ in range(CRASHES):
            await asyncio.sleep(random.uniform(0.2, 1.5))
            crashing.roll_back(server, random.randrange(100))
            await asyncio.to_thread(server.crash)
            assert not following.done(), following.result()
        over.set()
        await asyncio.gather(*callers)
        following.cancel()
        await asyncio.wait({following})
        await watcher.received(acknowledged)
        print(f"{CRASHES} crashes, {len(acknowledged)} orders acknowledged, {len(watcher.seen)} changes told")
        assert len(watcher.seen) == len(set(watcher.seen)), "each once"
