"""Client assertions that were used, so that none is used twice."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add only."""
    op.create_table(
        "client_assertions",
        sa.Column("assertion_hash", sa.LargeBinary, primary_key=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("client_assertions_expiry", "client_assertions", ["expires_at"])
