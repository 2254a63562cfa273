"""The feed of order changes. Watchers are notified when there are changes for them to read.

One tail per process reads new changes, once for all watchers, and only while there are any. It passes nothing on: it
notifies the watchers whose orders changed, and each reads its own. So nothing is buffered for a slow watcher, and one that
misses a notification still finds everything after its position.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from chassis import tasks
from chassis.security.encryption import Vault
from chassis.storage.database import Database, Row
from chassis.storage.listener import listen
from chassis.telemetry.logs import logger
from services.order.feed import cursor
from services.order.feed.cursor import Position
from services.order.feed.repository import MAX_TAIL, ChangeRepository
from services.order.ownership import Owner, owners_of

log = logger("feed")

CHANNEL = "outbox"
"""Every change of an order notifies the outbox after its commit, with or without an event, and so the feed."""
POLL_INTERVAL_S = 1.0
"""Between two reads of the tail without a notification."""
UNSETTLED_INTERVAL_S = 0.02
"""Until the next read of the tail while a change waits for an older transaction to end."""
MAX_CONCURRENT_READS = 2
"""Of the watchers of a process."""


class Watcher:
    """Follows the feed for an owner; notified when there may be changes to read, or when the feed stops."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self._notified = asyncio.Event()

    def notify(self) -> None:
        """End `wait`."""
        self._notified.set()

    def reset(self) -> None:
        """Call it before reading, so that a change during the read notifies again."""
        self._notified.clear()

    async def wait(self, seconds: float) -> None:
        """Until notified, for `seconds` at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._notified.wait()


class Feed:
    """Reads changes, and notifies the watchers."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._url = database.url
        self._changes = ChangeRepository(database, vault)
        self._watchers: dict[Owner, set[Watcher]] = {}
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._readers = asyncio.Semaphore(MAX_CONCURRENT_READS)
        self.head: Position | None = None
        """How far the tail has read: a watcher that was not notified has nothing to read up to here."""
        self.stopping = False

    async def now(self) -> Position:
        """The position after the newest change."""
        return await self._changes.newest()

    async def has(self, position: Position) -> bool:
        """Whether the change of a position exists in this database."""
        return await self._changes.has(position)

    async def read(self, owner: Owner, position: Position) -> tuple[list[Row], bool]:
        """The next changes after a position, each a row of the order as it was after the change; whether there may be more."""
        async with self._readers:  # many watchers notified together must not use up the connection pool
            return await self._changes.read(owner, position)

    @contextmanager
    def watch(self, owner: Owner) -> Iterator[Watcher]:
        """Follow the feed for the length of a block."""
        watcher = Watcher(owner)
        self._watchers.setdefault(owner, set()).add(watcher)
        if not (self._tasks or self.stopping):
            self._tasks = [
                asyncio.create_task(self._tail()),
                asyncio.create_task(listen(self._url, {CHANNEL: lambda _: self._changed.set()})),
            ]
        self._changed.set()
        try:
            yield watcher
        finally:
            of_owner = self._watchers[owner]
            of_owner.discard(watcher)
            if not of_owner:
                del self._watchers[owner]

    async def stop(self) -> None:
        """End the watchers' streams."""
        self.stopping = True
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.notify()
        await tasks.end(self._tasks)

    async def _tail(self) -> None:
        pause = POLL_INTERVAL_S
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause if self._watchers else None):
                    await self._changed.wait()
            self._changed.clear()
            if not self._watchers:
                self.head = None  # begins again with the next watcher
                continue
            try:
                pause = await self._read_tail()
            except Exception as error:
                # Watchers notice the error when they read.
                log.warning("tail_paused", cause=repr(error))
                pause = POLL_INTERVAL_S
                await asyncio.sleep(POLL_INTERVAL_S)

    async def _read_tail(self) -> float:
        """Notify the owners of new changes; seconds until the next read."""
        if self.head is None:
            self.head = await self.now()
            for watchers in self._watchers.values():
                for watcher in watchers:
                    watcher.notify()  # of changes before the tail began
        rows = await self._changes.tail(self.head)
        owners: set[Owner] = set()
        for row in rows:
            if row.xid is not None:
                owners |= owners_of(row.customer_id, row.partner_id, row.mode)
        for owner in owners & self._watchers.keys():
            for watcher in self._watchers[owner]:
                watcher.notify()
        if rows[-1].xid is not None:
            self.head = cursor.after(rows[-1].xid, rows[-1].seq, rows[-1].changed_at)
        if len(rows) == MAX_TAIL:
            return 0.0
        return UNSETTLED_INTERVAL_S if rows[0].unsettled else POLL_INTERVAL_S
