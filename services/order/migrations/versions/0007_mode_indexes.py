"""Indexes of what is in TEST, and external references that are unique within a mode."""

from alembic import op

revision = "0007"
down_revision = "0006"

_REFERENCE = "orders_external_reference"
_NEW = {
    "products_of_mode": "CREATE INDEX CONCURRENTLY {} ON products (mode, product_id)",
    "orders_partner_in_test": "CREATE INDEX CONCURRENTLY {} ON orders (partner_id, order_id) WHERE mode = 'TEST'",
    "order_changes_partner_in_test": "CREATE INDEX CONCURRENTLY {} ON order_changes (partner_id, xid, seq) WHERE mode = 'TEST'",
    f"{_REFERENCE}_of_mode": "CREATE UNIQUE INDEX CONCURRENTLY {} ON orders "
    "(external_reference, (COALESCE(NULLIF(partner_id, ''), order_id)), mode) WHERE external_reference <> ''",
}


def upgrade() -> None:
    """Built beside the old ones. The release before finds its constraint by the same name."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for name, statement in _NEW.items():
            # One that an interrupted migration left is invalid.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(statement.format(name))
        op.execute("SET lock_timeout = '300ms'")
    op.drop_index(_REFERENCE, "orders")
    op.execute(f"ALTER INDEX {_REFERENCE}_of_mode RENAME TO {_REFERENCE}")
