"""How many mails strangers may have sent, counted in the shared cache by who asks, so that nobody else runs out of them.

An address hears ten times an hour from all the world, and beyond that once from each neighbourhood: whoever floods a
mailbox has few mails for each network that they own, and its owner always has one. A cache that is down counts
nothing; then the edge's limits stay, and the bound of each pending sign-up.
"""

from datetime import timedelta

from chassis.storage.cache import Cache
from services.user.auth.domain import TooManyAttempts
from services.user.auth.origins import Origin

HOUR = 3600
TO_ADDRESS_FROM_NETWORK = 5
TO_ADDRESS = 10
BEYOND = 1
"""To an address from one neighbourhood, once the ten are used up."""


class MailBudget:
    """Lets a mail be asked for, or refuses."""

    def __init__(self, cache: Cache, of_network: int) -> None:
        """`of_network`: mails that one network may ask for in an hour, to all addresses together."""
        self._cache = cache
        self._of_network = of_network

    async def spend(self, origin: Origin) -> None:
        """Count one mail. Raises `TooManyAttempts` with the time to come back; that tells nothing of the address."""
        await self._count(f"mails:{origin.pair}", TO_ADDRESS_FROM_NETWORK)
        await self._count(f"mails:{origin.address}", self._of_network)
        if await self._cache.increment(f"mails:{origin.account}", HOUR) > TO_ADDRESS:
            await self._count(f"mails:{origin.account}:{origin.neighbourhood}", BEYOND)

    async def _count(self, key: str, most: int) -> None:
        if await self._cache.increment(key, HOUR) > most:
            raise TooManyAttempts(retry_after=timedelta(seconds=max(1, await self._cache.ttl(key))))
