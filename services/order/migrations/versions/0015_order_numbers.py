"""Numbers of orders for people. Orders of releases before have none."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Can be repeated after an interruption."""
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE orders ADD COLUMN IF NOT EXISTS order_number text NOT NULL DEFAULT ''")
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS orders_number")
        op.execute("CREATE UNIQUE INDEX CONCURRENTLY orders_number ON orders (order_number) WHERE order_number <> ''")
        op.execute("SET lock_timeout = '300ms'")
