"""New items of inboxes, in the order of commits. Watchers are woken when there is something for them to read.

One tail per process looks for all watchers, and only while there are any. It passes nothing on: each watcher reads its own, so
nothing is buffered for a slow one.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from chassis import tasks
from chassis.telemetry.logs import logger
from services.notification.inbox.repository import MAX_TAIL, InboxItem, InboxRepository

log = logger("inbox")
POLL_INTERVAL_S = 0.5
"""Between two reads of the tail, while somebody watches."""
MAX_READERS = 2
"""Watchers that read concurrently: those woken together must not use up the connection pool."""
MAX_ITEMS = 100
"""In one read."""


class Position(NamedTuple):
    """After an item: the transaction that has shown it, and its id. Before all of a transaction where the id is empty."""

    xid: int
    notification_id: str


class Watcher:
    """Somebody who watches their inbox."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """End `wait`."""
        self._woken.set()

    def reset(self) -> None:
        """Call it before reading, so that what comes during the read wakes again."""
        self._woken.clear()

    async def wait(self, seconds: float) -> None:
        """Until woken, for `seconds` at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._woken.wait()


class InboxFeed:
    """Wakes the watchers."""

    def __init__(self, inbox: InboxRepository) -> None:
        self._inbox = inbox
        self._watchers: dict[str, set[Watcher]] = {}
        self._tail: asyncio.Task[None] | None = None
        self._readers = asyncio.Semaphore(MAX_READERS)
        self.stopping = False

    async def now(self) -> Position:
        """The position after everything that is there."""
        return Position(await self._inbox.head(), "ntf_~")

    async def read(self, user_id: str, position: Position) -> tuple[Sequence[InboxItem], int]:
        """The new items of an inbox after a position, up to `MAX_ITEMS`; and how many items are unread."""
        async with self._readers:
            items = await self._inbox.list_shown(user_id, position.xid, position.notification_id, MAX_ITEMS)
            return items, await self._inbox.count_unread(user_id)

    def changed(self, user_id: str) -> None:
        """Wake those of this process who watch an inbox."""
        for watcher in self._watchers.get(user_id, ()):
            watcher.wake()

    @contextmanager
    def watch(self, user_id: str) -> Iterator[Watcher]:
        """Follow an inbox for the length of a block."""
        watcher = Watcher()
        self._watchers.setdefault(user_id, set()).add(watcher)
        if not self.stopping and (self._tail is None or self._tail.done()):
            self._tail = asyncio.create_task(self._follow())
        try:
            yield watcher
        finally:
            self._watchers[user_id].discard(watcher)
            if not self._watchers[user_id]:
                del self._watchers[user_id]

    async def stop(self) -> None:
        """End the streams."""
        self.stopping = True
        for user_id in self._watchers:
            self.changed(user_id)
        if self._tail is not None:
            await tasks.end([self._tail])

    async def _follow(self) -> None:
        """While there are watchers. Each reads once it has begun, so the tail begins with what comes afterwards."""
        head: int | None = None
        while self._watchers:
            try:
                if head is None:
                    head = (await self.now()).xid
                    for user_id in self._watchers:
                        self.changed(user_id)
                rows = await self._inbox.tail(head)
                for row in rows:
                    head = max(head, int(row.xid))
                    self.changed(row.user_id)
                if len(rows) == MAX_TAIL:
                    head -= 1  # the last transaction may have shown more
                    if rows[0].xid == rows[-1].xid:
                        head += 1  # a single one wakes everybody
                        for user_id in self._watchers:
                            self.changed(user_id)
                    continue
            except Exception as error:
                log.warning("tail_paused", cause=type(error).__name__)
            await asyncio.sleep(POLL_INTERVAL_S)
