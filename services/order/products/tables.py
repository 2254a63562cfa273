"""Tables of products."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Table,
    Text,
)

from chassis.storage import retention
from services.order.metadata import metadata


def _time(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False)


products = Table(
    "products",
    metadata,
    Column("product_id", Text, primary_key=True),
    # The partner whose product it is; empty for platform-owned products.
    Column("partner_id", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("stock", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False),
    # Counts changes other than those of stock. An order has the version that its buyer was shown, or its insert fails.
    Column("version", BigInteger, nullable=False),
    _time("created_at"),
    _time("updated_at"),
    # What is sold in TEST only; orders in TEST may also have products of LIVE, and leave their stock as it is.
    Column("mode", Text, nullable=False, server_default="LIVE"),
    Index("products_of_mode", "mode", "product_id"),
    CheckConstraint("stock >= 0", name="products_stock_not_negative"),
    # Stock changes with every order: free space on the page allows updates without index writes (HOT).
    postgresql_with={"fillfactor": "50"},
    info={"owner": ("partner_id",), **retention.keep("the catalogue; orders refer to it")},
)
