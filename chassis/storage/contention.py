"""Where items wait whose rows somebody else keeps locked: here, and not in the lane that they came from.

Nothing of the database is held meanwhile. Now and then it is asked which of their locks are still held, and by the same
holder: a row that is merely busy passes from hand to hand, and keeps nobody out (docs/decisions/0065).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Generic, TypeVar

from chassis.errors import ResourceBusy
from chassis.telemetry.logs import logger

log = logger("contention")
Item = TypeVar("Item")
Result = TypeVar("Result")

Locks = Callable[[Sequence[Item]], Awaitable[Sequence[Collection[str]]]]
"""For each item, the locks of others that stand in its way now. A lock's name holds its row and its holder."""

CHECK_INTERVAL_S = 0.05
"""Seconds between two looks."""
MAX_LOCK_WAIT_S = 3.0
"""Seconds that an item waits in all before it fails."""


@dataclass(slots=True, eq=False)
class Entry(Generic[Item, Result]):
    """An item on its way, and its caller's future."""

    item: Item
    written: asyncio.Future[Result]
    until: float = field(default=0.0)
    """When its patience ends; 0 before it first met a lock."""
    locks: set[str] = field(default_factory=set)

    def is_patient(self) -> bool:
        """Whether it may go on waiting, for a lock that it has just met for the first time or again."""
        now = monotonic()
        self.until = self.until or now + MAX_LOCK_WAIT_S
        return now < self.until

    def fail(self, error: Exception) -> None:
        """Tell its caller, who may have gone away."""
        if not self.written.done():
            self.written.set_exception(error)


class WaitingRoom(Generic[Item, Result]):
    """Keeps entries until their locks are gone, and gives them back to their lane."""

    def __init__(self, locks: Locks[Item], give_back: Callable[[list[Entry[Item, Result]]], None]) -> None:
        self._locks = locks
        self._give_back = give_back
        self._waiting: set[Entry[Item, Result]] = set()
        self._known: set[str] = set()
        self._watching: asyncio.Task[None] | None = None

    def __bool__(self) -> bool:
        """Whether anybody waits: then those who come are looked at before they meet the same lock."""
        return bool(self._waiting)

    async def admit(self, batch: list[Entry[Item, Result]]) -> list[Entry[Item, Result]]:
        """Keep those that a lock stands in the way of; the others."""
        return self._keep(batch, await self._find(batch))

    async def sift(self, batch: list[Entry[Item, Result]]) -> list[Entry[Item, Result]]:
        """Keep those that meet a lock for which somebody waits already; the others."""
        return self._keep(batch, [locks & self._known for locks in await self._find(batch)])

    def _keep(self, batch: list[Entry[Item, Result]], found: list[set[str]]) -> list[Entry[Item, Result]]:
        others = []
        for entry, locks in zip(batch, found, strict=True):
            if not locks:
                others.append(entry)
                continue
            entry.is_patient()
            entry.locks = locks
            self._waiting.add(entry)
            self._known |= locks
        if self._waiting and self._watching is None:
            self._watching = asyncio.create_task(self._watch(), context=Context())
        return others

    async def _find(self, batch: list[Entry[Item, Result]]) -> list[set[str]]:
        return [set(locks) for locks in await self._locks([entry.item for entry in batch])]

    async def _watch(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(CHECK_INTERVAL_S)
                self._let_go()
                try:
                    await self._look()
                except Exception as error:
                    log.warning("look_failed", cause=repr(error))  # those who wait lose patience in time
        finally:
            self._watching = None

    def _let_go(self) -> None:
        """Of those whose caller has gone away or whose patience has ended."""
        now = monotonic()
        for entry in [entry for entry in self._waiting if entry.written.done() or entry.until <= now]:
            self._waiting.discard(entry)
            entry.fail(ResourceBusy(retry_after=timedelta(seconds=1)))

    async def _look(self) -> None:
        waiting = list(self._waiting)
        if not waiting:
            return
        free = []
        for entry, locks in zip(waiting, await self._find(waiting), strict=True):
            entry.locks &= locks
            if not entry.locks:
                self._waiting.discard(entry)
                free.append(entry)
        self._known = {lock for entry in self._waiting for lock in entry.locks}
        if free:
            self._give_back(free)
