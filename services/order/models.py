"""The tables of the order service.

No foreign keys: an order, its lines, its payment and its first change are born in one statement and are never deleted,
so a key could only ever confirm what the statement says (docs/decisions/0061).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.types import UserDefinedType

from services.chassis import idempotency, retention, work


class TransactionId(UserDefinedType[int]):
    """`xid8`: the number of a transaction, never used twice."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """As PostgreSQL calls it."""
        return "xid8"


metadata = MetaData()


def _time(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False)


products = Table(
    "products",
    metadata,
    Column("product_id", Text, primary_key=True),
    # The partner whose product it is; empty for the house's own.
    Column("partner_id", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("stock", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False),
    # Counts the changes other than those of stock: what a buyer was shown is what they pay, or the write fails.
    Column("version", BigInteger, nullable=False),
    _time("created_at"),
    _time("updated_at"),
    CheckConstraint("stock >= 0", name="products_stock_not_negative"),
    # Stock changes with every order: room on the page keeps those updates away from the indexes.
    postgresql_with={"fillfactor": "50"},
    info=retention.keep("the catalogue; orders refer to it"),
)

orders = Table(
    "orders",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("customer_id", Text, nullable=False),
    # The partner through whom they buy; empty for people who buy themselves.
    Column("partner_id", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("payment_id", Text, nullable=False),
    Column("payment_state", Text, nullable=False),
    Column("external_reference", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    # Counts the changes of the order and of its payment; every write names the version that it follows.
    Column("version", Integer, nullable=False, server_default="1"),
    # Counts the events, which are fewer than the changes.
    Column("events", Integer, nullable=False, server_default="1"),
    _time("created_at"),
    _time("updated_at"),
    Index("orders_customer", "customer_id", "order_id"),
    Index("orders_partner", "partner_id", "order_id", postgresql_where=text("partner_id <> ''")),
    # Unique for a partner; whoever buys without one may call their orders what they like.
    Index(
        "orders_external_reference",
        "external_reference",
        text("COALESCE(NULLIF(partner_id, ''), order_id)"),
        unique=True,
        postgresql_where=text("external_reference <> ''"),
    ),
    Index("orders_pending", "created_at", postgresql_where=text("state = 'PENDING'")),
    postgresql_with={"fillfactor": "80"},
    info=retention.keep("business records"),
)

order_lines = Table(
    "order_lines",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("product_id", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("unit_price_minor", BigInteger, nullable=False),
    info=retention.keep("business records"),
)

order_changes = Table(
    "order_changes",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    # Where the change stands in the feed. Transactions commit out of order, so a reader stops short of the oldest that
    # still runs: what it has passed is complete (docs/decisions/0063).
    Column("xid", TransactionId, nullable=False, server_default=text("pg_current_xact_id()")),
    Column("seq", BigInteger, Identity(always=True)),
    Column("customer_id", Text, nullable=False),
    Column("partner_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("payment_state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    _time("changed_at"),
    Index("order_changes_feed", "xid", "seq"),
    Index("order_changes_customer", "customer_id", "xid", "seq"),
    Index("order_changes_partner", "partner_id", "xid", "seq", postgresql_where=text("partner_id <> ''")),
    info=retention.keep("the history of an order; WatchOrders reads it from any cursor"),
)

payments = Table(
    "payments",
    metadata,
    Column("payment_id", Text, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("state", Text, nullable=False),
    # Counts the tries with a method; part of the key that the provider recognises a repeated call by.
    Column("attempt", Integer, nullable=False, server_default="1"),
    # Whether a call to the provider may have been made: before it, calling off needs nobody's consent.
    Column("asked", Boolean, nullable=False, server_default="false"),
    Column("captured_minor", BigInteger, nullable=False, server_default="0"),
    Column("refunded_minor", BigInteger, nullable=False, server_default="0"),
    Column("failure_reason", Text, nullable=False, server_default=""),
    Column("failure_code", Text, nullable=False, server_default=""),
    _time("created_at"),
    _time("updated_at"),
    CheckConstraint(
        "0 <= refunded_minor AND refunded_minor <= captured_minor AND captured_minor <= amount_minor",
        name="payments_amounts_in_order",
    ),
    postgresql_with={"fillfactor": "80"},
    info=retention.keep("business records"),
)

# The sandbox provider's own books. It stands in for a party outside, so nothing of ours joins with it.
sandbox_charges = Table(
    "sandbox_charges",
    metadata,
    Column("key", Text, primary_key=True),
    Column("method", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("code", Text, nullable=False, server_default=""),
    # When a charge that timed out becomes known.
    _time("settles_at"),
    _time("created_at"),
    info=retention.keep("the sandbox provider's books; a refund may come at any time"),
)

outbox = work.table("outbox", metadata)
payment_work = work.table("payment_work", metadata)
idempotency_records = idempotency.table(metadata)
