"""Items that are blocked by other transactions' locks wait here, outside the batch queue that they came from.

They hold no connection meanwhile. The database is polled for which of their locks are still held by the same holder: a
row that is merely busy changes its holder, and blocks nobody for long (docs/decisions/0065).
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
"""For each item, the locks that block it now. The name of a lock contains its row and its holder."""

CHECK_INTERVAL_S = 0.05
"""Seconds between two polls."""
MAX_LOCK_WAIT_S = 3.0
"""Total seconds that an item waits before it fails."""


@dataclass(slots=True, eq=False)
class Entry(Generic[Item, Result]):
    """An item in the queue, and its caller's future."""

    item: Item
    written: asyncio.Future[Result]
    until: float = field(default=0.0)
    """When it fails; 0 before it was first blocked."""
    locks: set[str] = field(default_factory=set)

    def may_wait(self) -> bool:
        """Whether it may wait for a lock; the first call starts its time limit."""
        now = monotonic()
        self.until = self.until or now + MAX_LOCK_WAIT_S
        return now < self.until

    def fail(self, error: Exception) -> None:
        """Raise `error` to its caller, unless that was cancelled."""
        if not self.written.done():
            self.written.set_exception(error)


class LockWaiters(Generic[Item, Result]):
    """Holds entries until their locks are released, and then returns them to their queue."""

    def __init__(self, locks: Locks[Item], requeue: Callable[[list[Entry[Item, Result]]], None]) -> None:
        self._locks = locks
        self._requeue = requeue
        self._waiting: set[Entry[Item, Result]] = set()
        self._known: set[str] = set()
        self._watching: asyncio.Task[None] | None = None

    def __bool__(self) -> bool:
        """Whether entries are waiting: then new ones are checked before they run into the same lock."""
        return bool(self._waiting)

    async def hold(self, batch: list[Entry[Item, Result]]) -> list[Entry[Item, Result]]:
        """Hold the entries that are blocked; returns the others."""
        return self._keep(batch, await self._find(batch))

    async def hold_known(self, batch: list[Entry[Item, Result]]) -> list[Entry[Item, Result]]:
        """Hold the entries that are blocked by a lock for which others wait already; returns the others."""
        return self._keep(batch, [locks & self._known for locks in await self._find(batch)])

    def _keep(self, batch: list[Entry[Item, Result]], found: list[set[str]]) -> list[Entry[Item, Result]]:
        others = []
        for entry, locks in zip(batch, found, strict=True):
            if not locks:
                others.append(entry)
                continue
            entry.may_wait()
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
                self._expire()
                try:
                    await self._check()
                except Exception as error:
                    log.warning("lock_check_failed", cause=repr(error))  # those who wait fail when their time is over
        finally:
            self._watching = None

    def _expire(self) -> None:
        """Drop entries whose caller was cancelled, and fail those whose time is over."""
        now = monotonic()
        for entry in [entry for entry in self._waiting if entry.written.done() or entry.until <= now]:
            self._waiting.discard(entry)
            entry.fail(ResourceBusy(retry_after=timedelta(seconds=1)))

    async def _check(self) -> None:
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
            self._requeue(free)
