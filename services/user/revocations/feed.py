"""The feed of revocations: for the other services over a stream, and for this one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from chassis.security.revocations import Batch, Revocation
from services.user.revocations.repository import MAX_ROWS, START, RevocationRepository, position_of

HEARTBEAT_INTERVAL_S = 1.0
"""Without a notification; each heartbeat has looked into the database, which finds what was not notified of."""
MIN_INTERVAL_S = 0.05
"""Between two reads, so that many revocations share one."""


class RevocationFeed:
    """Reads revocations as they are committed, for any number of followers."""

    def __init__(self, revocations: RevocationRepository) -> None:
        self._revocations = revocations
        self._followers: set[asyncio.Event] = set()
        self._stopping = False

    def wake(self) -> None:
        """There may be new revocations."""
        for changed in self._followers:
            changed.set()

    async def stop(self) -> None:
        """End the streams of all followers."""
        self._stopping = True
        self.wake()

    async def follow(self, cursor: str) -> AsyncGenerator[Batch]:
        """Revocations after a cursor, or all without one, as they come; a batch at least every `HEARTBEAT_INTERVAL_S`."""
        settled = await self._revocations.position(cursor)
        unsettled: set[int] = set()  # numbers of those that were passed on and will be read again
        changed = asyncio.Event()
        self._followers.add(changed)
        try:
            while not self._stopping:
                changed.clear()
                at, complete = settled, False
                while not complete:
                    rows = await self._revocations.read(at)
                    complete = len(rows) < MAX_ROWS
                    found = []
                    for row in rows:
                        at = position_of(row)
                        if row.seq not in unsettled:
                            found.append(Revocation(row.subject_id, row.generation, row.expires_at.timestamp()))
                        if row.settled:
                            settled = at
                            unsettled.discard(row.seq)
                        else:
                            unsettled.add(row.seq)
                    yield Batch("" if settled == START else str(settled), found, complete)
                await asyncio.sleep(MIN_INTERVAL_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT_INTERVAL_S - MIN_INTERVAL_S):
                        await changed.wait()
        finally:
            self._followers.discard(changed)
