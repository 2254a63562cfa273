"""The cache in Valkey."""

from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.chassis.cache import Cache
from services.chassis.logs import logger

log = logger("cache")


class ValkeyCache(Cache):
    """Valkey, shared by all replicas of all services; `prefix` keeps the services apart."""

    def __init__(self, url: str, prefix: str) -> None:
        self._prefix = prefix
        self._client: Redis = Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)

    async def get(self, key: str) -> bytes | None:
        """The value, or None; None also where Valkey does not answer."""
        try:
            value = await self._client.get(f"{self._prefix}:{key}")
        except RedisError as error:
            self._lost(error)
            return None
        return value if isinstance(value, bytes) else None

    async def set(self, key: str, value: bytes, ttl: int) -> None:
        """Keep a value, if Valkey answers."""
        try:
            await self._client.set(f"{self._prefix}:{key}", value, ex=ttl)
        except RedisError as error:
            self._lost(error)

    async def delete(self, key: str) -> None:
        """Forget a value, if Valkey answers."""
        try:
            await self._client.delete(f"{self._prefix}:{key}")
        except RedisError as error:
            self._lost(error)

    async def increment(self, key: str, ttl: int) -> int:
        """Count one more; 0 where Valkey does not answer."""
        try:
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.set(f"{self._prefix}:{key}", 0, ex=ttl, nx=True)
                pipe.incr(f"{self._prefix}:{key}")
                return int((await pipe.execute())[1])
        except RedisError as error:
            self._lost(error)
            return 0

    async def ttl(self, key: str) -> int:
        """Seconds left; 0 where there is no value, or no answer."""
        try:
            return max(0, int(await self._client.ttl(f"{self._prefix}:{key}")))
        except RedisError as error:
            self._lost(error)
            return 0

    async def close(self) -> None:
        """Disconnect."""
        await self._client.aclose()

    def _lost(self, error: RedisError) -> None:
        log.warning("cache_unavailable", error=type(error).__name__)
