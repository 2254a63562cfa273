"""A cache in the process: a dictionary whose entries expire."""

from collections.abc import Collection, Hashable, Mapping
from time import monotonic
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class TtlCache(Generic[Key, Value]):
    """Values by key for `ttl_s` seconds. When it would have more than `max_entries` it is emptied first."""

    def __init__(self, ttl_s: float, max_entries: int) -> None:
        self._ttl_s = ttl_s
        self._max_entries = max_entries
        self._entries: dict[Key, tuple[float, Value]] = {}

    def get(self, key: Key) -> Value | None:
        """The value, or None where there is none or it has expired."""
        entry = self._entries.get(key)
        return entry[1] if entry is not None and entry[0] > monotonic() else None

    def get_all(self, keys: Collection[Key]) -> dict[Key, Value] | None:
        """The values of all keys, or None where one of them is missing or has expired."""
        entries, now = self._entries, monotonic()
        found = {}
        for key in keys:
            entry = entries.get(key)
            if entry is None or entry[0] <= now:
                return None
            found[key] = entry[1]
        return found

    def put(self, key: Key, value: Value) -> None:
        """Store a value."""
        self.put_all({key: value})

    def put_all(self, values: Mapping[Key, Value]) -> None:
        """Store several values."""
        if len(self._entries) + len(values) > self._max_entries:
            self._entries.clear()
        expires_at = monotonic() + self._ttl_s
        self._entries.update({key: (expires_at, value) for key, value in values.items()})

    def discard(self, *keys: Key) -> None:
        """Forget keys, whether they are cached or not."""
        for key in keys:
            self._entries.pop(key, None)
