"""Clients and users have a mode. What the release before makes is LIVE, as its tokens say."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add only."""
    op.add_column("clients", sa.Column("mode", sa.Text, nullable=False, server_default="LIVE"))
    op.create_check_constraint("clients_mode", "clients", "mode IN ('LIVE', 'TEST')")
    op.add_column("users", sa.Column("mode", sa.Text, nullable=False, server_default="LIVE"))
