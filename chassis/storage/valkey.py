"""The cache in Valkey."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionLost
from weft_client.calls.breaker import Breaker, BreakerOpen

from chassis.faults import catalogue, switches
from chassis.storage.cache import Cache, NullCache
from chassis.telemetry.logs import logger

COMMAND_TIMEOUT_S = 0.25
"""For a command, including the connection where one has to be made."""
BREAKER_FAILURES = 3
"""Consecutive failed commands that open the circuit breaker for a second."""
log = logger("cache")


class ValkeyCache(Cache):
    """Valkey, shared by all replicas of all services; `prefix` separates the services."""

    def __init__(self, url: str, prefix: str) -> None:
        self._prefix = prefix
        # One retry where Valkey has closed a pooled connection; a command that timed out is not retried.
        retry = Retry(NoBackoff(), 1, supported_errors=(ConnectionLost,))
        self._client: Redis = Redis.from_url(
            url, socket_timeout=COMMAND_TIMEOUT_S, socket_connect_timeout=COMMAND_TIMEOUT_S, retry=retry
        )
        self._breaker = Breaker("cache", failures=BREAKER_FAILURES)

    async def get(self, key: str) -> bytes | None:
        """The value, or None; also None where Valkey does not answer."""
        value = await self._ask(lambda: self._client.get(f"{self._prefix}:{key}"), None)
        return value if isinstance(value, bytes) else None

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values, in the order of the keys; none where Valkey does not answer."""
        return list(await self._ask(lambda: self._client.mget(self._named(keys)), [None] * len(keys)))

    async def add_many(self, values: Mapping[str, bytes], ttl: int) -> None:
        """Store each value whose key has none; does nothing where Valkey does not answer."""

        async def add() -> None:
            async with self._client.pipeline(transaction=False) as pipe:
                for key, value in zip(self._named(values), values.values(), strict=True):
                    pipe.set(key, value, ex=ttl, nx=True)
                await pipe.execute()

        await self._ask(add, None)

    async def set(self, key: str, value: bytes, ttl: int) -> bool:
        """Store a value; False where Valkey does not answer."""
        return bool(await self._ask(lambda: self._client.set(f"{self._prefix}:{key}", value, ex=ttl), False))

    async def delete(self, key: str) -> None:
        """Delete a value; does nothing where Valkey does not answer."""
        await self._ask(lambda: self._client.delete(f"{self._prefix}:{key}"), 0)

    async def increment(self, key: str, ttl: int) -> int:
        """Add 1 and return the count; 0 where Valkey does not answer."""

        async def count() -> int:
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.set(f"{self._prefix}:{key}", 0, ex=ttl, nx=True)
                pipe.incr(f"{self._prefix}:{key}")
                return int((await pipe.execute())[1])

        return int(await self._ask(count, 0))

    async def ttl(self, key: str) -> int:
        """Seconds until a value expires; 0 where there is none, or no answer."""
        return max(0, int(await self._ask(lambda: self._client.ttl(f"{self._prefix}:{key}"), 0)))

    async def close(self) -> None:
        """Disconnect."""
        await self._client.aclose()

    def _named(self, keys: Iterable[str]) -> list[str]:
        return [f"{self._prefix}:{key}" for key in keys]

    async def _ask(self, command: Callable[[], Awaitable[Any]], otherwise: Any) -> Any:
        """The result of a command; `otherwise` where Valkey fails in any way, or the circuit breaker is open."""
        try:
            self._breaker.acquire()
        except BreakerOpen:
            return otherwise
        task = asyncio.current_task()
        cancelled = task.cancelling() if task else 0
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                if switches.on(catalogue.NO_CACHE):
                    raise ConnectionLost(catalogue.NO_CACHE)
                found = await command()
            # The library returns what it has just received though it was cancelled.
            if task and task.cancelling() > cancelled:
                raise asyncio.CancelledError
        except asyncio.CancelledError:
            self._breaker.cancelled()
            raise
        except Exception as error:
            log.warning("cache_unavailable", error=type(error).__name__)
            self._breaker.failed()
            return otherwise
        self._breaker.succeeded()
        return found


def connect(url: str, prefix: str) -> Cache:
    """The cache at a URL; a `NullCache` where the URL is empty."""
    return ValkeyCache(url, prefix) if url else NullCache()
