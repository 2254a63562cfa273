"""The feed of order changes: who follows it is woken when there is something of theirs to read.

One tail in a process reads what is new, once for all who watch, and only while somebody does. It hands nothing over: it
wakes the watchers whose orders changed, and each reads its own. So nothing queues up for a slow one, and a watcher that
misses a wake-up still finds everything behind its position.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from chassis.storage.database import Database, Query, Row
from chassis.storage.listener import listen
from chassis.telemetry.logs import logger
from services.order.feed import cursor
from services.order.feed.cursor import START, Position
from services.order.orders.repository import LINES, is_cut, within_weight

log = logger("feed")
Owner = tuple[str, str]
"""A kind (`customer`, `partner` or `anyone`) and an id, as from `repository.ownership`."""

CHANNEL = "outbox"
"""Every change of an order wakes the outbox after its commit, with or without an event: that is the feed's signal too."""
POLL = 1.0
"""Seconds between two looks when nothing was announced."""
UNSETTLED = 0.02
"""Seconds until the next look while a change waits for an older transaction to end."""
READERS = 2
"""Watchers of a process that read at once."""
MOST = 200
"""Changes that a watcher reads at once."""

MOST_WEIGHT = 256 * 1024
"""Bytes of the orders that a watcher reads at once, and holds while its caller does not read on."""

_OWNED = {
    "customer": "c.customer_id = %(owner)s",
    "partner": "c.partner_id = %(owner)s AND c.partner_id <> ''",
    "anyone": "true",
}
_COLUMNS = (
    "c.xid, c.seq, c.order_id, c.version, c.state, c.payment_state, c.reason, c.updated_at, o.customer_id, o.partner_id, "
    "o.currency, o.total_minor, o.payment_id, o.external_reference, o.note, o.created_at, "
    "l.product_ids, l.titles, l.quantities, l.unit_prices"
)
_READ = {
    kind: Query(
        within_weight(
            _COLUMNS,
            "(SELECT c.xid, c.seq, c.order_id, c.version, c.state, c.payment_state, c.reason, c.changed_at AS updated_at "  # noqa: S608
            f"FROM order_changes c WHERE {owned} AND (c.xid, c.seq) > (%(xid)s::xid8, %(seq)s::bigint) "
            "AND c.xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY c.xid, c.seq LIMIT %(most)s) c "
            f"JOIN orders o ON o.order_id = c.order_id {LINES}",
            "c.xid, c.seq",
            MOST_WEIGHT,
        ),
        "read changes",
    )
    for kind, owned in _OWNED.items()
}
_NEWEST = Query(
    "SELECT xid::text, seq, changed_at FROM order_changes WHERE xid < pg_snapshot_xmin(pg_current_snapshot()) "
    "ORDER BY xid DESC, seq DESC LIMIT 1",
    "read newest change",
)
_KNOWN = Query(
    "SELECT true FROM order_changes WHERE xid = %(xid)s::xid8 AND seq = %(seq)s AND changed_at = %(at)s",
    "find change",
)
_TAIL = Query(
    """
WITH now AS MATERIALIZED (
  SELECT pg_snapshot_xmin(pg_current_snapshot()) AS horizon,
         (SELECT xid FROM order_changes ORDER BY xid DESC, seq DESC LIMIT 1) AS newest)
SELECT coalesce(now.newest >= now.horizon, false) AS unsettled,
       c.xid::text, c.seq, c.changed_at, c.customer_id, c.partner_id
  FROM now LEFT JOIN LATERAL (
    SELECT xid, seq, changed_at, customer_id, partner_id FROM order_changes
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
        self._readers = asyncio.Semaphore(READERS)
        self.head: Position | None = None
        """How far the tail has read: whoever was not woken has nothing to read up to here."""
        self.stopping = False

    async def now(self) -> Position:
        """Where the feed begins for someone who asks for what comes."""
        row = await self._database.first(_NEWEST)
        return cursor.behind(row.xid, row.seq, row.changed_at) if row else START

    async def knows(self, place: Position) -> bool:
        """Whether a position is one of this feed's: its change is there."""
        found = await self._database.first(_KNOWN, xid=str(place.xid), seq=place.seq, at=place.time)
        return place == START or found is not None

    async def read(self, owner: Owner, place: Position) -> tuple[list[Row], bool]:
        """The next changes behind a position, each a row of the order as it was after the change; whether there may be more."""
        kind, owner_id = owner
        values = {"owner": owner_id, "xid": str(place.xid), "seq": place.seq, "most": MOST}
        async with self._readers:  # a crowd of watchers that wakes up at once leaves connections to others
            rows = await self._database.all(_READ[kind], **values)
        return rows, len(rows) == MOST or is_cut(rows, MOST_WEIGHT)

    @contextmanager
    def watch(self, owner: Owner) -> Iterator[Watcher]:
        """Follow the feed for the length of a block."""
        watcher = Watcher(owner)
        self._watchers.setdefault(owner, set()).add(watcher)
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._tail()),
                asyncio.create_task(listen(self._database.url, {CHANNEL: self._changed.set})),
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
            self.head = await self.now()
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
        if rows[-1].xid is not None:
            self.head = cursor.behind(rows[-1].xid, rows[-1].seq, rows[-1].changed_at)
        if len(rows) == 1000:
            return 0.0
        return UNSETTLED if rows[0].unsettled else POLL
