"""Back-off after failed sign-ins and verifications, per account and network, over all replicas; no account is locked.

Failures are counted for each pair of account and network: after a few free attempts, each further one has to wait twice
as long, up to a minute. An account that many networks guess at leaves each of them fewer free attempts, but never none:
its owner always has some. A network that fails over many accounts has to wait likewise, except for accounts that have
signed in from there before. While the cache is away, failures are counted in the database.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from weakref import WeakValueDictionary

from chassis.clock import Clock
from chassis.errors import WeftError
from chassis.storage.cache import Cache
from services.user.throttling.domain import TooManyAttempts
from services.user.throttling.origins import Origin
from services.user.throttling.repository import AttemptRepository

WINDOW_S = 900
"""How long failures count, from the first."""
FREE_ATTEMPTS, FREE_ATTEMPTS_UNDER_ATTACK = 5, 2
ATTACK_FAILURES = 50
"""Failures of an account, over all networks, that count as an attack."""
FREE_ATTEMPTS_OF_NETWORK = 100
MAX_DELAY_S = 60
KNOWN_TTL_S = 30 * 24 * 3600
"""How long a network that an account succeeded from is remembered."""


class AttemptLimiter:
    """Admits or refuses attempts, and counts those that fail."""

    def __init__(
        self, cache: Cache, fallback: AttemptRepository, clock: Clock, failure: type[WeftError], prefix: str = ""
    ) -> None:
        """`failure` is what a failed attempt raises; `prefix` separates the counts of one kind of attempt."""
        self._failure = failure
        self._prefix = prefix
        self._cache = cache
        self._fallback = fallback
        self._clock = clock
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def attempt(self, origin: Origin) -> AsyncIterator[None]:
        """Wraps an attempt. Raises `TooManyAttempts` with the retry delay."""
        # One after the other, so that concurrent attempts are counted like successive ones.
        lock = self._locks.setdefault(origin.pair, asyncio.Lock())
        async with lock:
            counted_in_database = await self._admit(origin)
            try:
                yield
            except self._failure:
                await self._count(origin)
                raise
            await self._cache.delete(f"{self._prefix}attempts:{origin.pair}")
            await self._cache.delete(f"{self._prefix}until:{origin.pair}")
            await self._cache.set(f"{self._prefix}known:{origin.pair}", b"1", KNOWN_TTL_S)
            if counted_in_database:
                await self._fallback.delete(self._prefix + origin.pair)

    async def knows(self, origin: Origin) -> bool:
        """Whether the account has succeeded from the network within `KNOWN_TTL_S`; false while the cache is away."""
        return bool(await self._cache.get(f"{self._prefix}known:{origin.pair}"))

    async def _admit(self, origin: Origin) -> bool:
        """Raise `TooManyAttempts`, or tell whether the database has a count of the pair."""
        now, keys = self._clock.now(), [origin.pair]
        if not await self.knows(origin):
            keys.append(origin.address)
        for key in keys:
            until = await self._cache.get(f"{self._prefix}until:{key}")
            self._refuse(float(until) - now.timestamp() if until else 0.0)
        counted = await self._fallback.get([self._prefix + key for key in keys], now)
        for waits_until in counted.values():
            self._refuse((waits_until - now).total_seconds() if waits_until else 0.0)
        return self._prefix + origin.pair in counted

    def _refuse(self, seconds: float) -> None:
        if seconds > 0:
            raise TooManyAttempts(retry_after=timedelta(seconds=math.ceil(seconds)))

    async def _count(self, origin: Origin) -> None:
        failures, _ = await self._increment(origin.account)
        attacked = failures > ATTACK_FAILURES
        await self._delay(origin.pair, FREE_ATTEMPTS_UNDER_ATTACK if attacked else FREE_ATTEMPTS)
        await self._delay(origin.address, FREE_ATTEMPTS_OF_NETWORK)

    async def _delay(self, key: str, free: int) -> None:
        """Count a failure; from the last free attempt on, the next one has to wait."""
        failures, cached = await self._increment(key)
        over = failures - free + 1
        if over <= 0:
            return
        until = self._clock.now() + timedelta(seconds=_delay_s(over))
        if cached:
            await self._cache.set(f"{self._prefix}until:{key}", f"{until.timestamp():.3f}".encode(), WINDOW_S)
        else:
            await self._fallback.wait(self._prefix + key, until)

    async def _increment(self, key: str) -> tuple[int, bool]:
        """Count a failure: in the cache, or while it is away in the database."""
        failures = await self._cache.increment(f"{self._prefix}attempts:{key}", WINDOW_S)
        if failures:
            return failures, True
        now = self._clock.now()
        return await self._fallback.increment(self._prefix + key, now, now + timedelta(seconds=WINDOW_S)), False


def _delay_s(over: int) -> int:
    """Seconds to wait, by the number of failures from the last free attempt on."""
    return min(MAX_DELAY_S, 1 << min(over - 1, 10))
