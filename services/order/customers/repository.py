"""Every query that replaces customers by pseudonyms, in small statements, so that no call waits for them."""

from collections.abc import Sequence

from sqlalchemy import bindparam, select

from chassis.queues.dead_letters import DeadLetters
from chassis.storage.database import Database, Query, oldest_first
from services.order.metadata import metadata
from services.order.orders.tables import orders

MAX_ROWS = 500
"""Of a table, in one statement."""
MAX_PAGES = 10_000
"""Of replies, in one statement: 80 MB."""

# any owner: internal, of a person who is exported
_LIST = Query(
    oldest_first(select(orders.c.order_id).where(orders.c.customer_id == bindparam("user_id")), orders.c.order_id),
    name="list ids of orders",
)
# The version stays: the change is nobody's business, and those who change the order meanwhile read the customer from its row.
# What the customer said of the order goes by a trigger (migration 0019), also where a release that does not know it all erases.
# any owner: of a person who is erased
_ORDERS = Query(
    """
WITH found AS MATERIALIZED (
  SELECT order_id, payment_id FROM orders WHERE customer_id = %(user_id)s ORDER BY order_id LIMIT %(limit)s FOR NO KEY UPDATE),
refunds AS (
  UPDATE payment_refunds r SET actor = %(pseudonym)s, reason = ''
    FROM found WHERE r.payment_id = found.payment_id AND r.actor = %(user_id)s)
UPDATE orders o SET customer_id = %(pseudonym)s FROM found WHERE o.order_id = found.order_id
""",
    name="erase customer of orders",
)
# Changes of the pseudonym by the person are of a call that was under way when the order lost its customer: its words go too.
# any owner: of a person who is erased
_CHANGES = Query(
    """
WITH found AS MATERIALIZED (
  SELECT order_id, version, customer_id = %(pseudonym)s AS late FROM order_changes
   WHERE customer_id = %(user_id)s OR (customer_id = %(pseudonym)s AND actor = %(user_id)s)
   ORDER BY order_id, version LIMIT %(limit)s FOR NO KEY UPDATE),
locked AS MATERIALIZED (
  SELECT order_id FROM orders WHERE order_id = ANY(ARRAY(SELECT order_id FROM found WHERE late))
   ORDER BY order_id FOR NO KEY UPDATE),
said AS (
  UPDATE orders o SET note = '', metadata = NULL, shipping_address_sealed = NULL, reason = '', returns = (
    SELECT jsonb_agg(made || '{"reason": ""}'::jsonb) FROM jsonb_array_elements(o.returns) AS r(made))
    FROM locked WHERE o.order_id = locked.order_id)
UPDATE order_changes c SET customer_id = %(pseudonym)s,
       actor = CASE WHEN c.actor = %(user_id)s THEN %(pseudonym)s ELSE c.actor END,
       reason = CASE WHEN c.actor = %(user_id)s THEN '' ELSE c.reason END,
       cause = CASE WHEN c.actor = %(user_id)s THEN '' ELSE c.cause END
  FROM found WHERE c.order_id = found.order_id AND c.version = found.version
""",
    name="erase customer of changes",
)
_PAGES = Query(
    "SELECT pg_relation_size('idempotency') / current_setting('block_size')::int AS pages", name="measure replies"
)
# Of whoever called: a reply has the customer and the note. No index finds it, so all of the last day's are read, in parts.
_REPLIES = Query(
    "DELETE FROM idempotency WHERE ctid >= %(first)s::tid AND ctid < %(end)s::tid "
    "AND (position(convert_to(%(user_id)s, 'UTF8') IN reply) > 0 OR position(%(user_id)s IN users) > 0)",
    name="erase replies with customer",
)


class CustomerRepository:
    """Customers in orders and their changes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._dead_letters = DeadLetters(database, metadata.sorted_tables)

    async def list_ids(self, user_id: str, limit: int, after: str) -> Sequence[str]:
        """The ids of a customer's orders after one, the oldest first."""
        rows = await self._database.all(_LIST, user_id=user_id, after=after, limit=limit)
        return [row.order_id for row in rows]

    async def erase(self, user_id: str, pseudonym: str) -> bool:
        """Replace the customer in up to `MAX_ROWS` rows of each table; returns whether none is left.

        The orders come first: a change that is written meanwhile has their customer, or is found by its actor.
        """
        values = {"user_id": user_id, "pseudonym": pseudonym, "limit": MAX_ROWS}
        changed = [await self._database.run(statement, **values) for statement in (_ORDERS, _CHANGES)]
        if max(changed) == MAX_ROWS:
            return False
        await self._dead_letters.delete(user_id)
        pages = (await self._database.one(_PAGES)).pages
        for first in range(0, pages, MAX_PAGES):
            await self._database.run(_REPLIES, user_id=user_id, first=f"({first},0)", end=f"({first + MAX_PAGES},0)")
        return True
