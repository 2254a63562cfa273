"""Tables of the feed."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    text,
)
from sqlalchemy.types import UserDefinedType

from chassis.storage import retention
from services.order.metadata import metadata


class TransactionId(UserDefinedType[int]):
    """`xid8`: the number of a transaction, never used twice."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """As PostgreSQL calls it."""
        return "xid8"


def _time(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False)


order_changes = Table(
    "order_changes",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    # The position of the change in the feed. Transactions commit out of order, so a reader stops before the oldest one
    # that still runs: what it has read is complete (docs/decisions/0036).
    Column("xid", TransactionId, nullable=False, server_default=text("pg_current_xact_id()")),
    Column("seq", BigInteger, Identity(always=True)),
    Column("customer_id", Text, nullable=False),
    Column("partner_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("payment_state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    _time("changed_at"),
    Column("fulfilment_state", Text, nullable=False, server_default="UNFULFILLED"),
    # What happened, such as `order.shipped`, and why; empty for changes made before these columns existed.
    Column("change", Text, nullable=False, server_default=""),
    Column("cause", Text, nullable=False, server_default=""),
    Column("mode", Text, nullable=False, server_default="LIVE"),
    Index("order_changes_feed", "xid", "seq"),
    Index("order_changes_customer", "customer_id", "xid", "seq"),
    Index("order_changes_partner", "partner_id", "xid", "seq", postgresql_where=text("partner_id <> ''")),
    Index("order_changes_partner_in_test", "partner_id", "xid", "seq", postgresql_where=text("mode = 'TEST'")),
    info={
        "owner": ("customer_id", "partner_id"),
        **retention.keep("the history of an order; WatchOrders reads it from any cursor"),
    },
)
