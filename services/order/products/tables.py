"""Tables of products."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Table,
    Text,
    text,
)

from chassis.storage import migrations, retention
from services.order.metadata import metadata

WORDS_OF_TITLE = "to_tsvector('simple'::regconfig, regexp_replace(title, '[^[:alnum:]]+'::text, ' '::text, 'g'::text))"
"""SQL that the index and the search have in common."""


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
    Column("image_urls", ARRAY(Text), nullable=False, server_default="{}"),
    Column("archived_at", DateTime(timezone=True)),
    Index("products_of_mode", "mode", "product_id"),
    Index("products_by_active", "mode", "active", "product_id"),
    Index("products_by_currency", "mode", "currency", "product_id"),
    Index("products_by_partner", "partner_id", "mode", "product_id", postgresql_where=text("partner_id <> ''")),
    # The words of a title, without punctuation: what is searched for is cut into words in the same way.
    Index("products_by_title", text(WORDS_OF_TITLE), postgresql_using="gin"),
    CheckConstraint("stock >= 0", name="products_stock_not_negative"),
    # Stock changes with every order: free space on the page allows updates without index writes (HOT).
    postgresql_with={"fillfactor": "50"},
    info={"owner": ("partner_id",), **retention.keep("the catalogue; orders refer to it")},
)

# Appended to, never changed.
stock_adjustments = Table(
    "stock_adjustments",
    metadata,
    Column("product_id", Text, primary_key=True),
    Column("adjustment_id", Text, primary_key=True),
    Column("delta", BigInteger, nullable=False),
    Column("stock", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    _time("created_at"),
    info={"owner": ("product_id",), **retention.keep("the history of the stock"), **migrations.APPEND_ONLY},
)
