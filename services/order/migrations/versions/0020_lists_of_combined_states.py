"""One key for lists of all three states; those of 0017, one for each, were in no release."""

from alembic import op

revision = "0020"
down_revision = "0019"
_STATES = ("state", "payment_state", "fulfilment_state")


def upgrade() -> None:
    """Can be repeated after an interruption."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        _create("orders_by_states", f"({_key(*_STATES, 'order_id')})")
        _create("orders_partner_by_states", f"({_key('partner_id', *_STATES, 'order_id')}) WHERE partner_id <> ''")
        for state in _STATES:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS orders_by_{state}")
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS orders_partner_by_{state}")
        op.execute("SET lock_timeout = '300ms'")


def _key(first: str, *columns: str) -> str:
    return f'(({first} COLLATE "C")' + "".join(f" || '/' || {column}" for column in columns) + ")"


def _create(name: str, columns: str) -> None:
    op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    op.execute(f"CREATE INDEX CONCURRENTLY {name} ON orders {columns}")
