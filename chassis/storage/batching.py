"""Batching of concurrent writes: items that arrive while a batch is in flight share the next round trip and commit.

A single item is written immediately. After a batch of several the next one waits for a batch window, in which the process
answers the callers of the first: batches make a busy mesh cheap, from the edge to the database (docs/decisions/0033).

One batch is in flight at a time, unless it is slow: then the next one overtakes it. Items that are blocked by another
transaction's lock wait in `contention`, so that a locked row delays only those who need it (docs/decisions/0065).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from time import monotonic
from typing import Generic, TypeVar

import psycopg

from chassis.storage.contention import Entry, Locks, LockWaiters

Item = TypeVar("Item")
Result = TypeVar("Result")

WINDOW_PER_ITEM_S, MIN_WINDOW_S, MAX_WINDOW_S = 0.0002, 0.001, 0.003
"""The batch window: for each item of the previous batch, which takes as long to answer; its minimum and its maximum."""
WINDOW_EXPIRY_S = 0.01
"""Seconds after a batch of several during which the next one waits for the window."""
OVERTAKE_AFTER_S = 0.05
"""Seconds after which the next batch overtakes one that is in flight."""
MAX_IN_FLIGHT = 3
"""Maximum number of batches in flight."""

ITEM_FAULTS: tuple[type[Exception], ...] = (
    psycopg.IntegrityError,
    psycopg.DataError,
    psycopg.errors.CardinalityViolation,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.LockNotAvailable,
)
"""What a statement raises when one of its items is at fault, and not, for example, the network."""


class NotBatchable(Exception):
    """These items cannot be written in one statement, though each could alone."""


class BatchQueue(Generic[Item, Result]):
    """A queue of writes or look-ups. An item fails for its own faults only; a cancelled caller does not affect the others."""

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        faults: tuple[type[Exception], ...] = ITEM_FAULTS,
        max_items: int = 64,
        locks: Locks[Item] | None = None,
    ) -> None:
        """`write` writes all items or none, and returns a result for each. `faults`: what it raises when an item is at fault.
        `locks` finds the locks that block items after a lock time-out.
        """
        self._write = write
        self._faults: tuple[type[Exception], ...] = (NotBatchable, *faults)
        self._max_items = max_items
        self._waiting: list[Entry[Item, Result]] = []
        self._blocked = LockWaiters[Item, Result](locks, self._requeue) if locks else None
        self._in_flight: dict[object, asyncio.Task[None]] = {}
        self._active: object | None = None
        self._window_s = self._ended = 0.0

    async def put(self, item: Item) -> Result:
        """Write an item. Raises what its write raises. When cancelled, the item is written completely or not at all."""
        written: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append(Entry(item, written))
        if self._active is None:
            self._start()
        return await written

    def _start(self) -> None:
        """Start a task that writes batches, unless one is running."""
        if self._waiting and self._active is None and len(self._in_flight) < MAX_IN_FLIGHT:
            self._active = run = object()
            # An empty context: a batch serves many calls, so it must not inherit one call's deadline or span.
            self._in_flight[run] = asyncio.create_task(self._run(run), context=Context())

    def _overtake(self, slow: object) -> None:
        if self._active is slow:
            self._active = None
            self._start()

    def _requeue(self, entries: list[Entry[Item, Result]]) -> None:
        self._waiting[:0] = entries
        self._start()

    async def _run(self, run: object) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting and self._active is run:
                if self._window_s and monotonic() - self._ended < WINDOW_EXPIRY_S:
                    await asyncio.sleep(self._window_s)
                batch, self._waiting = self._waiting[: self._max_items], self._waiting[self._max_items :]
                timer = loop.call_later(OVERTAKE_AFTER_S, self._overtake, run)
                try:
                    await self._write_batch(batch)
                finally:
                    timer.cancel()
                self._ended = monotonic()
                self._window_s = (
                    min(max(MIN_WINDOW_S, len(batch) * WINDOW_PER_ITEM_S), MAX_WINDOW_S) if len(batch) > 1 else 0.0
                )
        finally:
            del self._in_flight[run]
            if self._active is run:
                self._active = None
            self._start()

    async def _write_batch(self, batch: list[Entry[Item, Result]]) -> None:
        batch = [entry for entry in batch if not entry.written.done()]  # a caller may have been cancelled
        try:
            if batch and self._blocked:
                batch = await self._blocked.hold_known(batch)
            results = await self._write([entry.item for entry in batch]) if batch else ()
        except self._faults as fault:
            await self._split(batch, fault)
        except Exception as error:
            _fail(batch, error)
        else:
            for entry, result in zip(batch, results, strict=True):
                if not entry.written.done():
                    entry.written.set_result(result)

    async def _split(self, batch: list[Entry[Item, Result]], fault: Exception) -> None:
        """Find the items at fault, and write the others."""
        if self._blocked is not None and isinstance(fault, psycopg.errors.LockNotAvailable):
            try:
                others = await self._blocked.hold(batch)
            except Exception as error:
                _fail(batch, error)
                return
            if len(others) < len(batch) or (len(batch) == 1 and batch[0].may_wait()):
                await self._write_batch(others)
                return
        if len(batch) == 1:
            batch[0].fail(fault)
            return
        # Splitting into quarters finds one bad item among 64 in 12 writes, and 64 bad ones in 84.
        quarter = -(-len(batch) // 4)
        for start in range(0, len(batch), quarter):
            await self._write_batch(batch[start : start + quarter])


def _fail(batch: Sequence[Entry[Item, Result]], error: Exception) -> None:
    for entry in batch:
        entry.fail(error)
