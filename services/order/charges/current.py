"""The charges in force, cached, so that an order is priced without a query."""

import asyncio
from time import monotonic

from services.order.charges.repository import ChargeRepository
from services.order.domain.charges import ChargeTable

CACHE_TTL_S = 5.0


class CurrentCharges:
    """The newest table. A buyer who was shown another total is not charged it: `expected_total` is compared."""

    def __init__(self, charges: ChargeRepository) -> None:
        self._charges = charges
        self._table = ChargeTable(0, ())
        self._fresh_until = 0.0
        self._reading = asyncio.Lock()

    async def get(self) -> ChargeTable:
        """At most `CACHE_TTL_S` old."""
        if monotonic() < self._fresh_until:
            return self._table
        async with self._reading:  # calls that come together read it once
            if monotonic() < self._fresh_until:
                return self._table
            return await self.refresh()

    async def refresh(self) -> ChargeTable:
        """As it is now."""
        began = monotonic()
        self._table = await self._charges.get(self._table)
        self._fresh_until = began + CACHE_TTL_S
        return self._table
