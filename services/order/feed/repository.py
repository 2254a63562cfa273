"""Every query on the feed."""

from collections.abc import Sequence

from chassis.security.encryption import Vault
from chassis.storage.database import Database, Query, Row
from services.order.feed import cursor
from services.order.feed.cursor import START, Position
from services.order.order_rows import LINES, is_cut, opened, within_bytes
from services.order.ownership import KINDS, Owner, of_owner

MAX_CHANGES = 200
"""Changes in one read of a watcher."""
MAX_READ_BYTES = 256 * 1024
"""Of the orders in one read of a watcher, which are in memory until its caller has received them."""
MAX_TAIL = 1000
"""Changes in one read of the tail."""

_OF_ORDER = (
    "o.fulfilment, o.returns, o.metadata, o.order_number, o.customer_id, o.partner_id, o.currency, o.total_minor, o.payment_id, "
    "o.external_reference, o.note, o.mode, o.created_at, o.shipping_address_sealed, o.charges"
)
_COLUMNS = (
    "c.xid, c.seq, c.order_id, c.version, c.state, c.payment_state, c.fulfilment_state, c.reason, c.updated_at, "
    f"{_OF_ORDER}, l.product_ids, l.titles, l.quantities, l.unit_prices, l.taxes"
)
# Each order by its key: the planner does not know how many changes a limit leaves, expects a tenth of all, and would read the whole table.
_READ = {
    kind: Query(
        within_bytes(
            _COLUMNS,
            "(SELECT c.xid, c.seq, c.order_id, c.version, c.state, c.payment_state, c.fulfilment_state, c.reason, c.changed_at AS updated_at "  # noqa: S608
            f"FROM order_changes c WHERE {of_owner(kind, 'c')} AND (c.xid, c.seq) > (%(xid)s::xid8, %(seq)s::bigint) "
            "AND c.xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY c.xid, c.seq LIMIT %(limit)s) c "
            # any owner: of changes that are the owner's
            f"CROSS JOIN LATERAL (SELECT o.order_id, {_OF_ORDER} FROM orders o WHERE o.order_id = c.order_id OFFSET 0) o {LINES}",
            "c.xid, c.seq",
            MAX_READ_BYTES,
        ),
        name="read changes",
    )
    for kind in KINDS
}
# any owner: a position says nothing of the change
_GET_NEWEST = Query(
    "SELECT xid::text, seq, changed_at FROM order_changes WHERE xid < pg_snapshot_xmin(pg_current_snapshot()) "
    # The bare name would be the text, whose order is another.
    "ORDER BY order_changes.xid DESC, seq DESC LIMIT 1",
    name="get newest change",
)
# any owner: a cursor is signed for its owner
_EXISTS = Query(
    "SELECT true FROM order_changes WHERE xid = %(xid)s::xid8 AND seq = %(seq)s AND changed_at = %(at)s",
    name="find change",
)
# any owner: the tail only notifies watchers, who read their own
_TAIL = Query(
    f"""
WITH now AS MATERIALIZED (
  SELECT pg_snapshot_xmin(pg_current_snapshot()) AS horizon,
         (SELECT xid FROM order_changes ORDER BY xid DESC, seq DESC LIMIT 1) AS newest)
SELECT coalesce(now.newest >= now.horizon, false) AS unsettled,
       c.xid::text, c.seq, c.changed_at, c.customer_id, c.partner_id, c.mode
  FROM now LEFT JOIN LATERAL (
    SELECT xid, seq, changed_at, customer_id, partner_id, mode FROM order_changes
     WHERE (xid, seq) > (%(xid)s::xid8, %(seq)s::bigint) AND xid < now.horizon ORDER BY xid, seq LIMIT {MAX_TAIL}) c ON true
 ORDER BY c.xid, c.seq
""",  # noqa: S608
    name="tail changes",
)


class ChangeRepository:
    """The changes of orders, in the order of commits."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def newest(self) -> Position:
        """The position after the newest change."""
        row = await self._database.first(_GET_NEWEST)
        return cursor.after(row.xid, row.seq, row.changed_at) if row else START

    async def has(self, position: Position) -> bool:
        """Whether the change of a position exists in this database."""
        found = await self._database.first(_EXISTS, xid=str(position.xid), seq=position.seq, at=position.time)
        return position == START or found is not None

    async def read(self, owner: Owner, position: Position) -> tuple[list[Row], bool]:
        """The next changes of an owner after a position; whether there may be more."""
        values = {**owner.values, "xid": str(position.xid), "seq": position.seq, "limit": MAX_CHANGES}
        rows = await self._database.all(_READ[owner.kind], **values)
        return [opened(row, self._vault) for row in rows], len(rows) == MAX_CHANGES or is_cut(rows, MAX_READ_BYTES)

    async def tail(self, position: Position) -> Sequence[Row]:
        """The next changes of all owners; one row without a change where there are none."""
        return await self._database.all(_TAIL, xid=str(position.xid), seq=position.seq)
