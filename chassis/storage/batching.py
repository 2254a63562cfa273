"""Statements that come while one is in flight go together with the next: they share its round trip and its commit.

An item that comes alone is written at once. Where several came together, more are on their way: the next ones gather for
a moment, in which the process answers those that are done. Bursts are what makes a busy mesh cheap, from the edge to the
database (docs/decisions/0033).

One batch is in flight at a time, unless it is slow: then the next one overtakes it. Items that wait for another's lock
wait aside (`contention`), so that one row keeps nobody but those who want it (docs/decisions/0065).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from time import monotonic
from typing import Generic, TypeVar

import psycopg

from chassis.storage.contention import Entry, Locks, WaitingRoom

Item = TypeVar("Item")
Result = TypeVar("Result")

WINDOW_PER_ITEM_S, MIN_WINDOW_S, MAX_WINDOW_S = 0.0002, 0.001, 0.003
"""Seconds to gather: so many for each item of the batch before, which takes as long to answer; at least, and at most."""
WINDOW_EXPIRY_S = 0.01
"""Seconds after which a batch tells nothing of what comes."""
OVERTAKE_AFTER_S = 0.05
"""Seconds after which a batch is overtaken by the next one."""
MAX_IN_FLIGHT = 3
"""Batches in flight at most."""

ITEM_FAULTS: tuple[type[Exception], ...] = (
    psycopg.IntegrityError,
    psycopg.DataError,
    psycopg.errors.CardinalityViolation,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.LockNotAvailable,
)
"""What a statement raises when one of its items is to blame, and not, say, the network."""


class NotBatchable(Exception):
    """Items that cannot be written together, though each could alone."""


class BatchQueue(Generic[Item, Result]):
    """One lane of writes, or of looks. An item fails for its own faults only; a caller that goes away leaves the others alone."""

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        faults: tuple[type[Exception], ...] = ITEM_FAULTS,
        most: int = 64,
        locks: Locks[Item] | None = None,
    ) -> None:
        """`write` writes all items or none, and gives a result for each. `faults`: what it raises for an item's sake.
        `locks` finds what stands in the way of items that waited for a lock in vain.
        """
        self._write = write
        self._faults: tuple[type[Exception], ...] = (NotBatchable, *faults)
        self._most = most
        self._waiting: list[Entry[Item, Result]] = []
        self._room = WaitingRoom[Item, Result](locks, self._take_back) if locks else None
        self._flights: dict[object, asyncio.Task[None]] = {}
        self._moving: object | None = None
        self._gather = self._ended = 0.0

    async def put(self, item: Item) -> Result:
        """Write an item. Raises what its write raises. When cancelled, the write happens or not, but all of it."""
        written: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append(Entry(item, written))
        if self._moving is None:
            self._start()
        return await written

    def _start(self) -> None:
        """Begin to take batches, where nobody else does."""
        if self._waiting and self._moving is None and len(self._flights) < MAX_IN_FLIGHT:
            self._moving = mine = object()
            # In a context of its own: the lane is nobody's call, so no caller's deadline or span may colour it.
            self._flights[mine] = asyncio.create_task(self._run(mine), context=Context())

    def _overtake(self, slow: object) -> None:
        if self._moving is slow:
            self._moving = None
            self._start()

    def _take_back(self, entries: list[Entry[Item, Result]]) -> None:
        self._waiting[:0] = entries
        self._start()

    async def _run(self, mine: object) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting and self._moving is mine:
                if self._gather and monotonic() - self._ended < WINDOW_EXPIRY_S:
                    await asyncio.sleep(self._gather)
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                timer = loop.call_later(OVERTAKE_AFTER_S, self._overtake, mine)
                try:
                    await self._settle(batch)
                finally:
                    timer.cancel()
                self._ended = monotonic()
                self._gather = (
                    min(max(MIN_WINDOW_S, len(batch) * WINDOW_PER_ITEM_S), MAX_WINDOW_S) if len(batch) > 1 else 0.0
                )
        finally:
            del self._flights[mine]
            if self._moving is mine:
                self._moving = None
            self._start()

    async def _settle(self, batch: list[Entry[Item, Result]]) -> None:
        batch = [entry for entry in batch if not entry.written.done()]  # a caller may have gone away
        try:
            if batch and self._room:
                batch = await self._room.sift(batch)
            results = await self._write([entry.item for entry in batch]) if batch else ()
        except self._faults as fault:
            await self._divide(batch, fault)
        except Exception as error:
            _fail(batch, error)
        else:
            for entry, result in zip(batch, results, strict=True):
                if not entry.written.done():
                    entry.written.set_result(result)

    async def _divide(self, batch: list[Entry[Item, Result]], fault: Exception) -> None:
        """Find those to blame, and go on with the others."""
        if self._room is not None and isinstance(fault, psycopg.errors.LockNotAvailable):
            try:
                others = await self._room.admit(batch)
            except Exception as error:
                _fail(batch, error)
                return
            if len(others) < len(batch) or (len(batch) == 1 and batch[0].is_patient()):
                await self._settle(others)
                return
        if len(batch) == 1:
            batch[0].fail(fault)
            return
        # Quarters find one bad item among 64 in 12 writes, and 64 bad ones in 84.
        quarter = -(-len(batch) // 4)
        for start in range(0, len(batch), quarter):
            await self._settle(batch[start : start + quarter])


def _fail(batch: Sequence[Entry[Item, Result]], error: Exception) -> None:
    for entry in batch:
        entry.fail(error)
