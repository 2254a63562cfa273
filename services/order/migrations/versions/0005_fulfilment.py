"""Fulfilment: what was shipped and delivered; and for each change what it was and why."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add columns with defaults, and one that is null: the release before this one writes rows without them."""
    op.add_column("orders", sa.Column("fulfilment_state", sa.Text, nullable=False, server_default="UNFULFILLED"))
    op.add_column("orders", sa.Column("fulfilment", JSONB))
    op.add_column("order_changes", sa.Column("fulfilment_state", sa.Text, nullable=False, server_default="UNFULFILLED"))
    for column in ("change", "cause"):
        op.add_column("order_changes", sa.Column(column, sa.Text, nullable=False, server_default=""))
