"""Replaces customers by pseudonyms, in small statements, so that no call waits for them."""

from collections.abc import Sequence

from chassis.storage.database import Database, Query

MAX_ROWS = 500
"""Of a table, in one statement."""

# any owner: internal, of a person who is exported
_LIST = Query(
    "SELECT order_id FROM orders WHERE customer_id = %(user_id)s AND order_id > %(after)s ORDER BY order_id LIMIT %(limit)s",
    "list ids of orders",
)
# The version stays: the change is nobody's business, and those who change the order meanwhile read the customer from its row.
# any owner: of a person who is erased
_ORDERS = Query(
    "UPDATE orders SET customer_id = %(pseudonym)s, note = '', reason = '', "
    'returns = (SELECT jsonb_agg(made || \'{"reason": ""}\'::jsonb) FROM jsonb_array_elements(returns) AS r(made)) WHERE order_id = ANY(ARRAY('
    "SELECT order_id FROM orders WHERE customer_id = %(user_id)s ORDER BY order_id LIMIT %(limit)s FOR NO KEY UPDATE))",
    "erase customer of orders",
)
# any owner: of a person who is erased
_CHANGES = Query(
    "UPDATE order_changes c SET customer_id = %(pseudonym)s, "
    "actor = CASE WHEN c.actor = %(user_id)s THEN %(pseudonym)s ELSE c.actor END, "
    "reason = CASE WHEN c.actor = %(user_id)s THEN '' ELSE c.reason END, "
    "cause = CASE WHEN c.actor = %(user_id)s THEN '' ELSE c.cause END "
    "FROM (SELECT order_id, version FROM order_changes WHERE customer_id = %(user_id)s "
    "ORDER BY order_id, version LIMIT %(limit)s FOR NO KEY UPDATE) found "
    "WHERE c.order_id = found.order_id AND c.version = found.version",
    "erase customer of changes",
)


class CustomerRepository:
    """Customers in orders and their changes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_ids(self, user_id: str, after: str, limit: int) -> Sequence[str]:
        """The ids of a customer's orders after one, the oldest first."""
        rows = await self._database.all(_LIST, user_id=user_id, after=after, limit=limit)
        return [row.order_id for row in rows]

    async def erase(self, user_id: str, pseudonym: str) -> bool:
        """Replace the customer in up to `MAX_ROWS` rows of each table; returns whether none is left."""
        values = {"user_id": user_id, "pseudonym": pseudonym, "limit": MAX_ROWS}
        changed = [await self._database.run(statement, **values) for statement in (_ORDERS, _CHANGES)]
        return max(changed) < MAX_ROWS
