"""A cache that is away is a cache that is empty; one that is silent is left alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from weft_client.calls import breaker
from weft_client.calls.breaker import State

from chassis.storage import valkey
from chassis.storage.cache import Cache
from chassis.storage.valkey import connect
from tests.servers import until


class Silent:
    """A server that takes connections and never answers."""

    def __init__(self) -> None:
        self.connections = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.read()
        writer.close()


@asynccontextmanager
async def hung() -> AsyncIterator[tuple[Silent, Cache]]:
    silent = Silent()
    server = await asyncio.start_server(silent.take, "127.0.0.1", 0)
    cache = connect(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", "test")
    try:
        yield silent, cache
    finally:
        await cache.close()
        server.close()


async def test_what_is_kept_is_found_counted_and_forgotten(valkey_url: str) -> None:
    cache = connect(valkey_url, "test_cache")
    await cache.set("a", b"1", 60)
    assert (await cache.get("a"), 0 < await cache.ttl("a") <= 60) == (b"1", True)
    assert [await cache.increment("n", 60) for _ in range(3)] == [1, 2, 3]
    await cache.delete("a")
    assert (await cache.get("a"), await cache.ttl("a")) == (None, 0)
    await cache.close()


async def test_a_silent_server_is_asked_a_few_times_and_then_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valkey, "COMMAND_TIMEOUT_S", 0.2)
    async with hung() as (silent, cache):
        for _ in range(valkey.BREAKER_FAILURES):
            assert await cache.get("a") is None
        asked = silent.connections
        answers = await asyncio.gather(*(cache.increment("n", 60) for _ in range(200)))
        assert (answers, silent.connections) == ([0] * 200, asked)
        assert [b.state for b in breaker._breakers if b is cache._breaker] == [State.OPEN]


async def test_one_command_at_a_time_probes_a_server_that_was_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valkey, "COMMAND_TIMEOUT_S", 0.2)
    async with hung() as (silent, cache):
        cache._breaker = breaker.Breaker("cache", failures=1, first_pause_s=0.0, max_pause_s=0.0)
        await cache.get("a")
        asked = silent.connections
        await asyncio.gather(*(cache.get("a") for _ in range(50)))
        assert silent.connections == asked + 1


async def test_a_server_that_comes_back_is_used_again(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = connect(valkey_url, "test_back")
    cache._breaker = breaker.Breaker("cache", failures=1, first_pause_s=0.05)
    cache._breaker.failed()
    assert await cache.increment("n", 60) == 0

    async def counts() -> bool:
        return await cache.increment("n", 60) > 0

    await until(counts, "the cache to be used again")
    await cache.close()


async def test_whatever_the_library_raises_the_cache_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = connect("redis://127.0.0.1:1", "test")

    async def closed(*_: object) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    monkeypatch.setattr(cache._client, "get", closed)
    assert await cache.get("a") is None
    await cache.close()


async def test_whoever_is_cancelled_during_a_command_is_cancelled_wherever_the_command_is(valkey_url: str) -> None:
    for steps in range(40):  # of the loop, into the connecting and the command
        cache = connect(valkey_url, "test_cancelled")
        command = asyncio.create_task(cache.set("a", b"1", 60))
        for _ in range(steps):
            await asyncio.sleep(0)
        had_ended = command.done()
        command.cancel()
        await asyncio.wait([command])
        assert command.cancelled() != had_ended, steps
        await cache.close()
