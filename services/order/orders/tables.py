"""Tables of orders."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from chassis.security.sealed import sealed
from chassis.storage import retention
from services.order.metadata import metadata
from services.order.order_rows import ADDRESS_CONTEXT, STATE_COLUMNS, state_key


def _time(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False)


orders = Table(
    "orders",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("customer_id", Text, nullable=False),
    # The partner that placed the order; empty for users who buy for themselves.
    Column("partner_id", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("payment_id", Text, nullable=False),
    Column("payment_state", Text, nullable=False),
    Column("external_reference", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    # Counts the changes of the order and of its payment; every update follows the version that was read.
    Column("version", Integer, nullable=False, server_default="1"),
    # Counts the events: not every change emits one.
    Column("events", Integer, nullable=False, server_default="1"),
    _time("created_at"),
    _time("updated_at"),
    Column("mode", Text, nullable=False, server_default="LIVE"),
    Column("fulfilment_state", Text, nullable=False, server_default="UNFULFILLED"),
    # What happened to its units (orders/document.py); null until something has.
    Column("fulfilment", JSONB),
    # Null until there is one (orders/document.py).
    Column("returns", JSONB),
    # The caller's own; null until there is some.
    Column("metadata", JSONB),
    # For people to read out; empty where a release without numbers has placed the order.
    Column("order_number", Text, nullable=False, server_default=""),
    # A serialized `ShippingAddress`.
    Column("shipping_address_sealed", LargeBinary, info=sealed(ADDRESS_CONTEXT, shown=True)),
    # Shipping and tax as they were when it was placed (orders/document.py); null where there are none.
    Column("charges", JSONB),
    Index("orders_number", "order_number", unique=True, postgresql_where=text("order_number <> ''")),
    Index("orders_customer", "customer_id", "order_id"),
    Index("orders_partner", "partner_id", "order_id", postgresql_where=text("partner_id <> ''")),
    Index("orders_partner_in_test", "partner_id", "order_id", postgresql_where=text("mode = 'TEST'")),
    # Unique for a partner and a mode; not unique for users without one.
    Index(
        "orders_external_reference",
        "external_reference",
        text("COALESCE(NULLIF(partner_id, ''), order_id)"),
        "mode",
        unique=True,
        postgresql_where=text("external_reference <> ''"),
    ),
    # Lists of states (orders/list_statements.py).
    Index("orders_by_states", text(state_key(*STATE_COLUMNS, "order_id"))),
    Index(
        "orders_partner_by_states",
        text(state_key("partner_id", *STATE_COLUMNS, "order_id")),
        postgresql_where=text("partner_id <> ''"),
    ),
    Index("orders_pending", "created_at", postgresql_where=text("state = 'PENDING'")),
    postgresql_with={"fillfactor": "80"},
    info={"owner": ("customer_id", "partner_id"), **retention.keep("business records")},
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
    # On all units of the line.
    Column("tax_minor", BigInteger, nullable=False, server_default="0"),
    info={"owner": ("order_id",), **retention.keep("business records")},
)
