"""Phone numbers that users have proved, and counters of text messages."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("users", sa.Column("phone_sealed", sa.LargeBinary))
    op.add_column("users", sa.Column("phone_lookup", sa.LargeBinary))
    op.add_column("users", sa.Column("phone_verified_at", sa.DateTime(timezone=True)))
    op.create_table(
        "text_counts",
        sa.Column("subject", sa.LargeBinary, primary_key=True),
        sa.Column("texts", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("text_counts_expiry", "text_counts", ["expires_at"])
