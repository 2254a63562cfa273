"""The feed of order changes: who follows it is woken when there is something of theirs to read.

One tail in a process reads what is new, once for all who watch, and only while somebody does. It hands nothing over: it
wakes the watchers whose orders changed, and each reads its own. So nothing queues up for a slow one, and a watcher that
misses a wake-up still finds everything behind its position.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from services.chassis.database import Database, Query, Row
from services.chassis.logs import logger
from services.order.orders.positions import Position
from services.order.orders.repository import LINES

log = logger("feed")
Owner = tuple[str, str]
"""A kind (`customer`, `partner` or `anyone`) and an id, as from `repository.ownership`."""

CHANNEL = "outbox"
"""Every change of an order wakes the outbox after its commit, with or without an event: that is the feed's signal too."""
POLL = 1.0
"""Seconds between two looks when nothing was announced."""
UNSETTLED = 0.02
"""Seconds until the next look while a change waits for an older transaction to end."""
MOST = 200
"""Changes that a watcher reads at once."""

_OWNED = {
    "customer": "c.customer_id = %(owner)s",
    "partner": "c.partner_id = %(owner)s AND c.partner_id <> ''",
    "anyone": "true",
}
_READ = {
    kind: Query(
        "SELECT c.xid::text, c.seq, c.order_id, c.version, c.state, c.payment_state, c.reason, c.changed_at AS updated_at, "  # noqa: S608
        "o.customer_id, o.partner_id, o.currency, o.total_minor, o.payment_id, o.external_reference, o.note, o.created_at, l.* "
        f"FROM (SELECT * FROM order_changes c WHERE {owned} AND (c.xid, c.seq) > (%(xid)s::xid8, %(seq)s::bigint) "
        "AND c.xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY c.xid, c.seq LIMIT %(most)s) c "
        f"JOIN orders o ON o.order_id = c.order_id {LINES} ORDER BY c.xid, c.seq",
        "read changes",
    )
    for kind, owned in _OWNED.items()
}
_NOW = Query(
    "SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon, pg_snapshot_xmax(pg_current_snapshot())::text AS end",
    "read horizon",
)
_TAIL = Query(
    """
WITH now AS MATERIALIZED (
  SELECT pg_snapshot_xmin(pg_current_snapshot()) AS horizon,
         (SELECT xid FROM order_changes ORDER BY xid DESC, seq DESC LIMIT 1) AS newest)
SELECT now.horizon::text, coalesce(now.newest >= now.horizon, false) AS unsettled,
       c.xid::text, c.seq, c.customer_id, c.partner_id
  FROM now LEFT JOIN LATERAL (
    SELECT xid, seq, customer_id, partner_id FROM order_changes
     WHERE (xid, seq) > (%(xid)s::xid8, %(seq)s::bigint) AND xid < now.horizon ORDER BY xid, seq LIMIT 1000) c ON true
 ORDER BY c.xid, c.seq
""",
    "tail changes",
)


class Watcher:
    """One who follows the feed; woken when there may be something to read, or when the feed stops."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """There may be something."""
        self._awake.set()

    def sleep_again(self) -> None:
        """Before reading, so that what comes while reading wakes again."""
        self._awake.clear()

    async def wait(self, seconds: float) -> None:
        """Until woken, or for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._awake.wait()


class Feed:
    """Reads changes, and wakes those who watch."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watchers: dict[Owner, set[Watcher]] = {}
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.head: Position | None = None
        """How far the tail has read: whoever was not woken has nothing to read up to here."""
        self.stopping = False

    async def now(self) -> tuple[Position, int]:
        """Where the feed begins for someone who asks for what comes; and the number that no transaction has reached."""
        row = await self._database.one(_NOW)
        return Position(int(row.horizon), 0), int(row.end)

    async def read(self, owner: Owner, position: Position) -> list[Row]:
        """The next changes behind a position, at most `MOST`, each a row of the order as it was after the change."""
        kind, owner_id = owner
        return await self._database.all(_READ[kind], owner=owner_id, xid=str(position.xid), seq=position.seq, most=MOST)

    @contextmanager
    def watch(self, owner: Owner) -> Iterator[Watcher]:
        """Follow the feed for the length of a block."""
        watcher = Watcher(owner)
        self._watchers.setdefault(owner, set()).add(watcher)
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._tail()), asyncio.create_task(self._listen())]
        self._changed.set()
        try:
            yield watcher
        finally:
            of_owner = self._watchers[owner]
            of_owner.discard(watcher)
            if not of_owner:
                del self._watchers[owner]

    async def stop(self) -> None:
        """Tell all who watch that it ends."""
        self.stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.wake()

    async def _tail(self) -> None:
        pause = POLL
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause if self._watchers else None):
                    await self._changed.wait()
            self._changed.clear()
            if not self._watchers:
                self.head = None  # whoever comes next begins from then
                continue
            try:
                pause = await self._look()
            except Exception as error:
                # Watchers find out by themselves when they read.
                log.warning("tail_paused", cause=repr(error))
                pause = POLL
                await asyncio.sleep(POLL)

    async def _look(self) -> float:
        """Wake the owners of what is new; how long to wait before the next look."""
        if self.head is None:
            self.head, _ = await self.now()
            for watchers in self._watchers.values():
                for watcher in watchers:
                    watcher.wake()  # what came before the tail knew where to begin
        rows = await self._database.all(_TAIL, xid=str(self.head.xid), seq=self.head.seq)
        owners: set[Owner] = set()
        for row in rows:
            if row.xid is not None:
                owners |= {("customer", row.customer_id), ("partner", row.partner_id), ("anyone", "")}
        for owner in owners & self._watchers.keys():
            for watcher in self._watchers[owner]:
                watcher.wake()
        if len(rows) == 1000:
            self.head = Position(int(rows[-1].xid), rows[-1].seq)
            return 0.0
        self.head = Position(int(rows[0].horizon), 0)
        return UNSETTLED if rows[0].unsettled else POLL

    async def _listen(self) -> None:
        while True:
            try:
                connected = await psycopg.AsyncConnection.connect(self._database.url, autocommit=True)
                async with connected as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self._changed.set()
                    async for _ in connection.notifies():
                        self._changed.set()
            except psycopg.Error as error:
                log.warning("listener_lost", cause=type(error).__name__)
                await asyncio.sleep(POLL)
