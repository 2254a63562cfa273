"""Events of payment providers, and the index that finds a payment by the provider's reference."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Can be repeated after an interruption: the table comes last, in a transaction of its own."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS payments_reference")
        op.execute(
            "CREATE INDEX CONCURRENTLY payments_reference ON payments (provider_reference) WHERE provider_reference LIKE 'pi\\_%'"
        )
        op.execute("SET lock_timeout = '300ms'")
    op.create_table(
        "provider_events",
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("payment_id", sa.Text, nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("provider_events_expiry", "provider_events", ["received_at"])
