"""Indexes for lists of orders by state."""

from alembic import op

revision = "0017"
down_revision = "0016"
_STATES = ("state", "payment_state", "fulfilment_state")


def upgrade() -> None:
    """Can be repeated after an interruption."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for state in _STATES:
            _create(f"orders_by_{state}", f"({_key(state, 'order_id')})")
            _create(f"orders_partner_by_{state}", f"({_key('partner_id', state, 'order_id')}) WHERE partner_id <> ''")
        op.execute("SET lock_timeout = '300ms'")


def _key(first: str, *columns: str) -> str:
    return f'(({first} COLLATE "C")' + "".join(f" || '/' || {column}" for column in columns) + ")"


def _create(name: str, columns: str) -> None:
    op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    op.execute(f"CREATE INDEX CONCURRENTLY {name} ON orders {columns}")
