"""Products, orders and their changes have a mode. What the release before makes is LIVE, as its tokens say."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add only."""
    for table in ("products", "orders", "order_changes"):
        op.add_column(table, sa.Column("mode", sa.Text, nullable=False, server_default="LIVE"))
