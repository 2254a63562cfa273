"""Back-off after failed sign-ins and verifications, per account and network, in the shared cache; no account is locked.

Failures are counted for each pair of account and network: after a few free attempts, each further one has to wait twice
as long, up to a minute. An account that many networks guess at leaves each of them fewer free attempts, but never none:
its owner always has some. A network that fails over many accounts has to wait likewise, except for accounts that have
signed in from there before. While the cache is down nothing is counted; the edge's rate limits remain.
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

    def __init__(self, cache: Cache, clock: Clock, failure: type[WeftError], prefix: str = "") -> None:
        """`failure` is what a failed attempt raises; `prefix` separates the counts of one kind of attempt."""
        self._failure = failure
        self._prefix = prefix
        self._cache = cache
        self._clock = clock
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def attempt(self, origin: Origin) -> AsyncIterator[None]:
        """Wraps an attempt. Raises `TooManyAttempts` with the retry delay."""
        # One after the other, so that concurrent attempts are counted like successive ones.
        lock = self._locks.setdefault(origin.pair, asyncio.Lock())
        async with lock:
            await self._admit(origin)
            try:
                yield
            except self._failure:
                await self._count(origin)
                raise
            await self._cache.delete(f"{self._prefix}attempts:{origin.pair}")
            await self._cache.delete(f"{self._prefix}until:{origin.pair}")
            await self._cache.set(f"{self._prefix}known:{origin.pair}", b"1", KNOWN_TTL_S)

    async def _admit(self, origin: Origin) -> None:
        keys = [origin.pair]
        if not await self._cache.get(f"{self._prefix}known:{origin.pair}"):
            keys.append(origin.address)
        for key in keys:
            until = await self._cache.get(f"{self._prefix}until:{key}")
            left = float(until) - self._clock.now().timestamp() if until else 0.0
            if left > 0:
                raise TooManyAttempts(retry_after=timedelta(seconds=math.ceil(left)))

    async def _count(self, origin: Origin) -> None:
        failures = await self._cache.increment(f"{self._prefix}attempts:{origin.account}", WINDOW_S)
        attacked = failures > ATTACK_FAILURES
        await self._delay(origin.pair, FREE_ATTEMPTS_UNDER_ATTACK if attacked else FREE_ATTEMPTS)
        await self._delay(origin.address, FREE_ATTEMPTS_OF_NETWORK)

    async def _delay(self, key: str, free: int) -> None:
        """Count a failure; from the last free attempt on, the next one has to wait."""
        over = await self._cache.increment(f"{self._prefix}attempts:{key}", WINDOW_S) - free + 1
        if over > 0:
            until = self._clock.now().timestamp() + _delay_s(over)
            await self._cache.set(f"{self._prefix}until:{key}", f"{until:.3f}".encode(), WINDOW_S)


def _delay_s(over: int) -> int:
    """Seconds to wait, by the number of failures from the last free attempt on."""
    return min(MAX_DELAY_S, 1 << min(over - 1, 10))
