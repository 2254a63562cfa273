"""The time that calls of a method may take, kept for all of them by one timer.

`asyncio.timeout` makes a timer for each: 4 µs a call, as much as a span. Here all calls have the same time, so those that
began first are due first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import TypeVar

Result = TypeVar("Result")


class _Running:
    """A call within its bound; `task` is None once it has ended."""

    __slots__ = ("due", "expired", "task")

    def __init__(self, task: asyncio.Task[object] | None, due: float) -> None:
        self.task = task
        self.due = due
        self.expired = False


class TimeLimit:
    """At most `seconds` for each of any number of calls."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: deque[_Running] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def keep(self, call: Awaitable[Result]) -> Result:
        """What `call` gives. Raises `TimeoutError` where that takes too long, after cancelling it."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        running = _Running(task, loop.time() + self._seconds)
        self._running.append(running)
        if self._timer is None:
            self._timer = loop.call_at(running.due, self._expire)
        try:
            return await call
        except asyncio.CancelledError as cancelled:
            # Of two who cancelled it, the other one's cancellation goes on.
            if running.expired and task is not None and not task.uncancel():
                raise TimeoutError from cancelled
            raise
        finally:
            running.task = None
            while self._running and self._running[0].task is None:
                self._running.popleft()

    def _expire(self) -> None:
        """Cancel what is due, and look again when the next one is."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._running and (self._running[0].task is None or self._running[0].due <= now):
            running = self._running.popleft()
            if running.task is not None:
                running.expired = True
                running.task.cancel()
        self._timer = loop.call_at(self._running[0].due, self._expire) if self._running else None
