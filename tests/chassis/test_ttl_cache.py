"""Entries of a TtlCache expire, and their number is bounded."""

import pytest

from chassis import ttl_cache
from chassis.ttl_cache import TtlCache


def test_a_value_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(ttl_cache, "monotonic", lambda: now)
    cache = TtlCache[str, int](ttl_s=10, max_entries=10)
    cache.put("a", 1)
    now = 105.0
    cache.put("b", 2)
    assert cache.get_all(["a", "b"]) == {"a": 1, "b": 2}
    now = 110.0
    assert (cache.get("a"), cache.get("b")) == (None, 2)
    assert cache.get_all(["a", "b"]) is None


def test_a_discarded_key_is_missing() -> None:
    cache = TtlCache[str, int](ttl_s=10, max_entries=10)
    cache.put_all({"a": 1, "b": 2})
    cache.discard("a", "c")
    assert (cache.get("a"), cache.get("b")) == (None, 2)


def test_it_never_has_more_than_the_maximum_number_of_entries() -> None:
    cache = TtlCache[int, int](ttl_s=10, max_entries=3)
    for n in range(10):
        cache.put(n, n)
        assert sum(cache.get(m) is not None for m in range(10)) <= 3
    assert cache.get(9) == 9
