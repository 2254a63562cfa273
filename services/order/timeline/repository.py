"""Every query on the changes of an order."""

from collections.abc import Sequence
from functools import cache

from chassis.storage.database import Database, Query, Row
from services.order.ownership import Owner, of_owner


@cache
def _list(kind: str) -> Query:
    return Query(
        "SELECT c.version, c.change, c.cause, c.actor, c.changed_at, c.state, c.payment_state, c.fulfilment_state "  # noqa: S608
        "FROM order_changes c WHERE c.order_id = %(order_id)s AND c.version > %(after_version)s "
        f"AND {of_owner(kind, 'c')} ORDER BY c.version LIMIT %(limit)s",
        name="list order events",
    )


class TimelineRepository:
    """Reads the rows that `orders.insert_statements` and `orders.update_statements` write with each change."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, owner: Owner, order_id: str, limit: int, after: int) -> Sequence[Row]:
        """The changes of the owner's order after a version, oldest first. Every order has one; none means no such order."""
        return await self._database.all(
            _list(owner.kind), order_id=order_id, owner=owner.id, limit=limit, after_version=after
        )
