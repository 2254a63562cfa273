"""Every query on the changes of an order."""

from collections.abc import Sequence
from functools import cache

from sqlalchemy import bindparam, select

from chassis.storage.database import Database, Query, Row, oldest_first
from services.order.feed.tables import order_changes
from services.order.ownership import Owner, owned

_c = order_changes.alias("c")
_SHOWN = ("version", "change", "cause", "actor", "changed_at", "state", "payment_state", "fulfilment_state")


@cache
def _list(kind: str) -> Query:
    found = select(*(_c.c[name] for name in _SHOWN)).where(_c.c.order_id == bindparam("order_id"), owned(kind, "c"))
    return Query(oldest_first(found, _c.c.version), name="list order events")


class TimelineRepository:
    """Reads the rows that `orders.insert_statements` and `orders.update_statements` write with each change."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, owner: Owner, order_id: str, limit: int, after: int) -> Sequence[Row]:
        """The changes of the owner's order after a version, oldest first. Every order has one; none means no such order."""
        return await self._database.all(_list(owner.kind), order_id=order_id, **owner.values, limit=limit, after=after)
