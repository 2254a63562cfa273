"""Deliveries know the provider that may have sent them."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add only."""
    op.add_column("deliveries", sa.Column("maybe_sent_by", sa.Text, nullable=False, server_default=""))
