"""Stored replies that are encrypted say whom they name."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    """Those of the release before say nothing."""
    op.add_column("idempotency", sa.Column("users", sa.Text, nullable=False, server_default=""))
