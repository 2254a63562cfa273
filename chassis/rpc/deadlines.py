"""The deadline of a method's calls, enforced for all of them by one timer.

`asyncio.timeout` makes a timer for each call: 4 µs, as much as a span. Here all calls have the same time limit, so the
first to start is the first to expire.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import TypeVar

Result = TypeVar("Result")


class _Running:
    """A running call; `task` is None once it has ended."""

    __slots__ = ("due", "expired", "task")

    def __init__(self, task: asyncio.Task[object] | None, due: float) -> None:
        self.task = task
        self.due = due
        self.expired = False


class TimeLimit:
    """A time limit of `seconds` for each of any number of concurrent calls."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: deque[_Running] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def enforce(self, call: Awaitable[Result]) -> Result:
        """Await `call`. Cancels it and raises `TimeoutError` when the time limit is over."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        running = _Running(task, loop.time() + self._seconds)
        self._running.append(running)
        if self._timer is None:
            self._timer = loop.call_at(running.due, self._expire)
        try:
            return await call
        except asyncio.CancelledError as cancelled:
            # If somebody else cancelled it too, their cancellation is passed on.
            if running.expired and task is not None and not task.uncancel():
                raise TimeoutError from cancelled
            raise
        finally:
            running.task = None
            while self._running and self._running[0].task is None:
                self._running.popleft()

    def _expire(self) -> None:
        """Cancel the calls that are due, and set the timer for the next one."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._running and (self._running[0].task is None or self._running[0].due <= now):
            running = self._running.popleft()
            if running.task is not None:
                running.expired = True
                running.task.cancel()
        self._timer = loop.call_at(self._running[0].due, self._expire) if self._running else None
