"""Clients may have a list of networks that they are used from."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add only. The release before lets a client be used from anywhere."""
    op.add_column("clients", sa.Column("allowed_networks", sa.ARRAY(sa.Text), nullable=False, server_default="{}"))
