"""The shared cache: Valkey, or nothing. A cache that is down is a cache that is empty: callers never fail because of it."""

from abc import ABC, abstractmethod


class Cache(ABC):
    """Bytes by key, each with a time to live in seconds."""

    @abstractmethod
    async def get(self, key: str) -> bytes | None:
        """The value, or None."""

    @abstractmethod
    async def set(self, key: str, value: bytes, ttl: int) -> None:
        """Keep a value."""

    @abstractmethod
    async def delete(self, key: str) -> None:
        """Forget a value."""

    @abstractmethod
    async def increment(self, key: str, ttl: int) -> int:
        """Count one more and return the count; the first one starts the time to live. 0 where nothing counts."""

    @abstractmethod
    async def ttl(self, key: str) -> int:
        """Seconds that a value has left; 0 where there is none."""

    async def close(self) -> None:
        """Disconnect."""
        return


class NullCache(Cache):
    """Forgets everything."""

    async def get(self, key: str) -> bytes | None:  # noqa: ARG002
        """None."""
        return None

    async def set(self, key: str, value: bytes, ttl: int) -> None:
        """Nothing."""

    async def delete(self, key: str) -> None:
        """Nothing."""

    async def increment(self, key: str, ttl: int) -> int:  # noqa: ARG002
        """0."""
        return 0

    async def ttl(self, key: str) -> int:  # noqa: ARG002
        """0."""
        return 0
