"""Failed sign-ins back off, per account and per address, in the shared cache, and lock nobody out.

Counted for each pair of account and address: after a few free tries, each further one waits twice as long, up to a
minute, and of several at once one goes through. An account that many addresses guess at leaves each address fewer free
tries, but never none: its owner always has some. An address that fails over many accounts waits likewise; accounts that
have signed in from there before are spared. A cache that is down counts nothing; the edge's limits stay.
"""

import ipaddress
import math
from dataclasses import dataclass
from datetime import timedelta

from services.chassis.cache import Cache
from services.chassis.clock import Clock
from services.user.auth.domain import TooManyTries

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
    """Admits a try or refuses it, and hears how it ended."""

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock

    async def admit(self, origin: Origin) -> None:
        """Let a try go on. Raises `TooManyTries` with the time to come back."""
        if not await self._cache.get(f"known:{origin.pair}"):
            await self._wait(f"address:{origin.address}", FREE_OF_ADDRESS)
        attacked = await self._count(f"account:{origin.account}") >= ATTACK
        free = FREE_UNDER_ATTACK if attacked else FREE
        waited = await self._wait(f"pair:{origin.pair}", free)
        # Counted before it is looked at, so that of many at once no more than the free ones go on.
        count = await self._cache.increment(f"tries:pair:{origin.pair}", WINDOW)
        if count > free:
            await self._put_off(f"pair:{origin.pair}", count - free)
            if not waited:
                raise TooManyTries(retry_after=timedelta(seconds=_delay(count - free)))

    async def failed(self, origin: Origin) -> None:
        """The password was wrong."""
        await self._cache.increment(f"tries:account:{origin.account}", WINDOW)
        count = await self._cache.increment(f"tries:address:{origin.address}", WINDOW)
        if count > FREE_OF_ADDRESS:
            await self._put_off(f"address:{origin.address}", count - FREE_OF_ADDRESS)

    async def succeeded(self, origin: Origin) -> None:
        """The password was right: the pair begins anew, and the address is the account's own."""
        await self._cache.delete(f"tries:pair:{origin.pair}")
        await self._cache.delete(f"until:pair:{origin.pair}")
        await self._cache.set(f"known:{origin.pair}", b"1", KNOWN)

    async def _wait(self, key: str, free: int) -> bool:
        """Raise while a wait runs; whether one has run."""
        until = await self._cache.get(f"until:{key}") or b""
        left = float(until) - self._clock.now().timestamp() if until else 0.0
        if left > 0:
            raise TooManyTries(retry_after=timedelta(seconds=math.ceil(left)))
        if await self._count(key) < free:
            return False
        # Whoever comes at once after the same wait takes turns: one goes on.
        if await self._cache.increment(f"turn:{key}:{until.decode()}", MOST) > 1:
            raise TooManyTries(retry_after=timedelta(seconds=1))
        return True

    async def _put_off(self, key: str, over: int) -> None:
        until = self._clock.now().timestamp() + _delay(over)
        await self._cache.set(f"until:{key}", f"{until:.3f}".encode(), WINDOW)

    async def _count(self, key: str) -> int:
        return int(await self._cache.get(f"tries:{key}") or 0)


def _delay(over: int) -> int:
    """Seconds to wait after the given number of tries beyond the free ones."""
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
