"""How many messages a second this process hands to a provider: those that come sooner wait, in their queue if it takes long."""

import asyncio
from time import monotonic

MAX_WAIT_S = 5.0
"""For which a message that was leased waits: well below its lease."""


def batch_at(per_second: float, most: int, loops: int) -> int:
    """How many messages each of some loops leases together at a rate, 0 for no limit: no more than pass in time."""
    return max(1, min(most, int(per_second * MAX_WAIT_S / loops))) if per_second else most


class Throttle:
    """A rate of one provider, evenly spread; a second's worth may come at once after a rest."""

    def __init__(self, per_second: float = 0.0) -> None:
        """`per_second`: 0 for no limit."""
        self._interval_s = 1 / per_second if per_second else 0.0
        self._burst_s = max(0.0, 1.0 - self._interval_s)
        self._next = 0.0

    def wait(self) -> float:
        """Seconds until another message may go; 0 where one may now."""
        return max(0.0, self._next - self._burst_s - monotonic()) if self._interval_s else 0.0

    async def pass_one(self) -> bool:
        """Wait for a turn; false where it would be too long."""
        wait_s = self.wait()
        if wait_s > MAX_WAIT_S:
            return False
        if self._interval_s:
            self._next = max(self._next, monotonic()) + self._interval_s
            await asyncio.sleep(wait_s)
        return True
