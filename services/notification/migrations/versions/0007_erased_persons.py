"""Persons who were erased."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add only."""
    op.create_table(
        "erased_persons",
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("erased_persons_expiry", "erased_persons", ["erased_at"])
