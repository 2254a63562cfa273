"""How many mails anonymous callers may request, counted in the shared cache by caller, so that no caller uses up another's.

An address receives ten mails an hour from all callers together, and beyond that one from each neighbourhood: an attacker
gets few mails for each network, and the owner always gets one. While the cache is down nothing is counted; the edge's
rate limits and the limit of each pending sign-up remain.
"""

from datetime import timedelta

from chassis.storage.cache import Cache
from services.user.throttling.domain import TooManyAttempts
from services.user.throttling.origins import Origin

_HOUR_S = 3600
HOURLY_MAILS_TO_ADDRESS_FROM_NETWORK = 5
HOURLY_MAILS_TO_ADDRESS = 10
HOURLY_MAILS_FROM_NEIGHBOURHOOD = 1
"""To one address, once `HOURLY_MAILS_TO_ADDRESS` is used up."""


class MailBudget:
    """Counts requested mails and refuses those over the limit."""

    def __init__(self, cache: Cache, hourly_mails_of_network: int) -> None:
        """`hourly_mails_of_network`: mails that one network may request in an hour, to all addresses together."""
        self._cache = cache
        self._of_network = hourly_mails_of_network

    async def spend(self, origin: Origin) -> None:
        """Count one mail. Raises `TooManyAttempts` with the retry delay, which says nothing about the address."""
        await self._count(f"mails:{origin.pair}", HOURLY_MAILS_TO_ADDRESS_FROM_NETWORK)
        await self._count(f"mails:{origin.address}", self._of_network)
        if await self._cache.increment(f"mails:{origin.account}", _HOUR_S) > HOURLY_MAILS_TO_ADDRESS:
            await self._count(f"mails:{origin.account}:{origin.neighbourhood}", HOURLY_MAILS_FROM_NEIGHBOURHOOD)

    async def _count(self, key: str, limit: int) -> None:
        if await self._cache.increment(key, _HOUR_S) > limit:
            raise TooManyAttempts(retry_after=timedelta(seconds=max(1, await self._cache.ttl(key))))
