"""Partners that are suspended, and so get no webhooks."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add only."""
    op.create_table(
        "suspensions",
        sa.Column("partner_id", sa.Text, primary_key=True),
        sa.Column("suspended", sa.Boolean, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )
