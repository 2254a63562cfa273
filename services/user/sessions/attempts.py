"""Failed sign-ins and proofs of an address back off, per account and network address, in the shared cache, and lock nobody out.

Counted for each pair of account and address: after a few free tries, each further one waits twice as long, up to a
minute. An account that many addresses guess at leaves each address fewer free tries, but never none: its owner always
has some. An address that fails over many accounts waits likewise; accounts that have signed in from there before are
spared. A cache that is down counts nothing; the edge's limits stay.
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
from services.user.auth.domain import TooManyAttempts
from services.user.auth.origins import Origin

WINDOW = 900
"""Seconds for which tries are counted, from the first."""
FREE, FREE_UNDER_ATTACK = 5, 2
ATTACK = 50
"""Failures of an account, over all addresses, that count as an attack."""
FREE_OF_ADDRESS = 100
MOST = 60
"""Seconds that a wait may take."""
KNOWN = 30 * 24 * 3600
"""Seconds for which an account's own address is remembered."""


class Tries:
    """Lets tries go on or refuses them, and counts those that fail."""

    def __init__(self, cache: Cache, clock: Clock, failure: type[WeftError], prefix: str = "") -> None:
        """`failure` is what a failed try raises; `prefix` keeps the counts of one kind of try apart."""
        self._failure = failure
        self._prefix = prefix
        self._cache = cache
        self._clock = clock
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def one(self, origin: Origin) -> AsyncIterator[None]:
        """Around a try. Raises `TooManyAttempts` with the time to come back."""
        # One after the other, so that many at once are counted like many in a row.
        turn = self._turns.setdefault(origin.pair, asyncio.Lock())
        async with turn:
            await self._admit(origin)
            try:
                yield
            except self._failure:
                await self._count(origin)
                raise
            await self._cache.delete(f"{self._prefix}tries:{origin.pair}")
            await self._cache.delete(f"{self._prefix}until:{origin.pair}")
            await self._cache.set(f"{self._prefix}known:{origin.pair}", b"1", KNOWN)

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
        attacked = await self._cache.increment(f"{self._prefix}tries:{origin.account}", WINDOW) > ATTACK
        await self._put_off(origin.pair, FREE_UNDER_ATTACK if attacked else FREE)
        await self._put_off(origin.address, FREE_OF_ADDRESS)

    async def _put_off(self, key: str, free: int) -> None:
        """Count a failure; from the last free one on, the next try has to wait."""
        over = await self._cache.increment(f"{self._prefix}tries:{key}", WINDOW) - free + 1
        if over > 0:
            until = self._clock.now().timestamp() + _delay(over)
            await self._cache.set(f"{self._prefix}until:{key}", f"{until:.3f}".encode(), WINDOW)


def _delay(over: int) -> int:
    """Seconds to wait, by the failures since the last free try."""
    return min(MOST, 1 << min(over - 1, 10))
