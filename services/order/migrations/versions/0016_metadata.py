"""What callers keep with orders."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Releases before leave it as it is."""
    op.add_column("orders", sa.Column("metadata", JSONB))
