"""Images and archived products, indexes of the catalogue's filters, and the history of stock that is adjusted by hand."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_INDEXES = {
    "products_by_active": "(mode, active, product_id)",
    "products_by_currency": "(mode, currency, product_id)",
    "products_by_partner": "(partner_id, mode, product_id) WHERE partner_id <> ''",
    "products_by_title": "USING gin "
    "(to_tsvector('simple'::regconfig, regexp_replace(title, '[^[:alnum:]]+'::text, ' '::text, 'g'::text)))",
}
_REVOKE = """
DO $$
DECLARE
  given record;
BEGIN
  FOR given IN
    SELECT DISTINCT grantee FROM information_schema.role_table_grants
    WHERE table_schema = 'public' AND table_name = 'stock_adjustments' AND grantee <> current_user
  LOOP
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON stock_adjustments FROM %I', given.grantee);
  END LOOP;
END $$
"""


def upgrade() -> None:
    """Can be repeated after an interruption. The release before leaves the new columns as they are."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for name, on in _INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON products {on}")
        op.execute("SET lock_timeout = '300ms'")
    op.add_column("products", sa.Column("image_urls", sa.ARRAY(sa.Text), nullable=False, server_default="{}"))
    op.add_column("products", sa.Column("archived_at", sa.DateTime(timezone=True)))
    op.create_table(
        "stock_adjustments",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("product_id", "adjustment_id")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("delta", "stock")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("reason", "actor")),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.execute(_REVOKE)  # a default of the database may have opened the table to the role that serves
