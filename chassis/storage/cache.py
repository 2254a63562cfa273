"""The shared cache: Valkey, or none. When it is unavailable it acts as if it were empty: callers never fail because of it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence


class Cache(ABC):
    """Bytes by key, each with a time to live in seconds."""

    @abstractmethod
    async def get(self, key: str) -> bytes | None:
        """The value, or None."""

    @abstractmethod
    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values, in the order of the keys; None for each that there is not."""

    @abstractmethod
    async def add_many(self, values: Mapping[str, bytes], ttl: int) -> None:
        """Store each value whose key has none."""

    @abstractmethod
    async def set(self, key: str, value: bytes, ttl: int) -> bool:
        """Store a value for `ttl` seconds; whether the cache says that it has it."""

    @abstractmethod
    async def delete(self, key: str) -> None:
        """Delete a value."""

    @abstractmethod
    async def increment(self, key: str, ttl: int) -> int:
        """Add 1 and return the count; the first call starts the time to live. 0 where the cache is unavailable."""

    @abstractmethod
    async def ttl(self, key: str) -> int:
        """Seconds until a value expires; 0 where there is none."""

    async def close(self) -> None:
        """Disconnect."""
        return


class NullCache(Cache):
    """Stores nothing."""

    async def get(self, key: str) -> bytes | None:  # noqa: ARG002
        return None

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return [None] * len(keys)

    async def add_many(self, values: Mapping[str, bytes], ttl: int) -> None:
        pass

    async def set(self, key: str, value: bytes, ttl: int) -> bool:  # noqa: ARG002 - there is nothing to be wrong
        return True

    async def delete(self, key: str) -> None:
        pass

    async def increment(self, key: str, ttl: int) -> int:  # noqa: ARG002
        return 0

    async def ttl(self, key: str) -> int:  # noqa: ARG002
        return 0
