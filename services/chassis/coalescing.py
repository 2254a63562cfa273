"""Statements that come while one is in flight go together with the next: they share its round trip and its commit.

An item that comes alone is written at once. Where several came together, more are on their way: the next ones gather for
a moment, in which the process answers those that are done. Bursts are what makes a busy mesh cheap, from the edge to the
database (docs/decisions/0060).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from time import monotonic
from typing import Generic, TypeVar

import psycopg

Item = TypeVar("Item")
Result = TypeVar("Result")

EACH, SHORTEST, LONGEST = 0.0002, 0.001, 0.003
"""Seconds to gather: so many for each item of the batch before, which takes as long to answer; at least, and at most."""
RECENT = 0.01
"""Seconds after which a batch tells nothing of what comes."""

FAULTS: tuple[type[Exception], ...] = (
    psycopg.IntegrityError,
    psycopg.DataError,
    psycopg.errors.CardinalityViolation,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.LockNotAvailable,
)
"""What a statement raises when one of its items is to blame, and not, say, the network."""


class Inseparable(Exception):
    """Items that cannot be written together, though each could alone."""


class Coalescer(Generic[Item, Result]):
    """One lane of writes, or of looks. An item fails for its own faults only; a caller that goes away leaves the others alone."""

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        faults: tuple[type[Exception], ...] = FAULTS,
        most: int = 64,
    ) -> None:
        """`write` writes all items or none, and gives a result for each. `faults`: what it raises for an item's sake."""
        self._write = write
        self._faults: tuple[type[Exception], ...] = (Inseparable, *faults)
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._lane: asyncio.Task[None] | None = None
        self._gather = self._ended = 0.0

    async def put(self, item: Item) -> Result:
        """Write an item. Raises what its write raises. When cancelled, the write happens or not, but all of it."""
        written: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, written))
        if self._lane is None:
            # In a context of its own: the lane is nobody's call, so no caller's deadline or span may colour it.
            self._lane = asyncio.create_task(self._run(), context=Context())
        return await written

    async def _run(self) -> None:
        try:
            while self._waiting:
                if self._gather and monotonic() - self._ended < RECENT:
                    await asyncio.sleep(self._gather)
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._settle([pair for pair in batch if not pair[1].done()])
                self._ended = monotonic()
                self._gather = min(max(SHORTEST, len(batch) * EACH), LONGEST) if len(batch) > 1 else 0.0
        finally:
            self._lane = None

    async def _settle(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        if not batch:
            return
        try:
            results = await self._write([item for item, _ in batch])
        except self._faults as fault:
            if len(batch) == 1:
                _fail(batch, fault)
                return
            # Quarters find one bad item among 64 in 12 writes, and 64 bad ones in 84.
            quarter = -(-len(batch) // 4)
            for start in range(0, len(batch), quarter):
                await self._settle(batch[start : start + quarter])
        except Exception as error:
            _fail(batch, error)
        else:
            for (_, written), result in zip(batch, results, strict=True):
                if not written.done():  # its caller may have gone away
                    written.set_result(result)


def _fail(batch: Sequence[tuple[object, asyncio.Future[Result]]], error: Exception) -> None:
    for _, written in batch:
        if not written.done():
            written.set_exception(error)
