"""Notifications have the partner and the mode of their event; what there is, is LIVE."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add only."""
    op.add_column("notifications", sa.Column("partner_id", sa.Text, nullable=False, server_default=""))
    op.add_column("notifications", sa.Column("mode", sa.Text, nullable=False, server_default="LIVE"))
