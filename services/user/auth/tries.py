"""Failed sign-ins back off, per account and per address, in the shared cache, and lock nobody out.

Counted for each pair of account and address: after a few free tries, each further one waits twice as long, up to a
minute. An account that many addresses guess at leaves each address fewer free tries, but never none: its owner always
has some. An address that fails over many accounts waits likewise; accounts that have signed in from there before are
spared. A cache that is down counts nothing; the edge's limits stay.
"""

import asyncio
import ipaddress
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from weakref import WeakValueDictionary

from services.chassis.cache import Cache
from services.chassis.clock import Clock
from services.user.auth.domain import CredentialsInvalid, TooManyTries

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


@dataclass(frozen=True, slots=True)
class Origin:
    """Keyed hashes of an account's e-mail address and of the network address that tries it."""

    account: str
    address: str

    @property
    def pair(self) -> str:
        """Both."""
        return f"{self.account}:{self.address}"


class Tries:
    """Lets tries go on or refuses them, and counts those that fail."""

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def one(self, origin: Origin) -> AsyncIterator[None]:
        """Around a try, which fails by `CredentialsInvalid`. Raises `TooManyTries` with the time to come back."""
        # One after the other, so that many at once are counted like many in a row.
        turn = self._turns.setdefault(origin.pair, asyncio.Lock())
        async with turn:
            await self._admit(origin)
            try:
                yield
            except CredentialsInvalid:
                await self._count(origin)
                raise
            await self._cache.delete(f"tries:{origin.pair}")
            await self._cache.delete(f"until:{origin.pair}")
            await self._cache.set(f"known:{origin.pair}", b"1", KNOWN)

    async def _admit(self, origin: Origin) -> None:
        keys = [origin.pair]
        if not await self._cache.get(f"known:{origin.pair}"):
            keys.append(origin.address)
        for key in keys:
            until = await self._cache.get(f"until:{key}")
            left = float(until) - self._clock.now().timestamp() if until else 0.0
            if left > 0:
                raise TooManyTries(retry_after=timedelta(seconds=math.ceil(left)))

    async def _count(self, origin: Origin) -> None:
        attacked = await self._cache.increment(f"tries:{origin.account}", WINDOW) > ATTACK
        await self._put_off(origin.pair, FREE_UNDER_ATTACK if attacked else FREE)
        await self._put_off(origin.address, FREE_OF_ADDRESS)

    async def _put_off(self, key: str, free: int) -> None:
        """Count a failure; from the last free one on, the next try has to wait."""
        over = await self._cache.increment(f"tries:{key}", WINDOW) - free + 1
        if over > 0:
            until = self._clock.now().timestamp() + _delay(over)
            await self._cache.set(f"until:{key}", f"{until:.3f}".encode(), WINDOW)


def _delay(over: int) -> int:
    """Seconds to wait, by the failures since the last free try."""
    return min(MOST, 1 << min(over - 1, 10))


def network(address: str) -> str:
    """What counts as one address: an IPv4 address, the /64 of an IPv6 one; empty for what is neither."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
