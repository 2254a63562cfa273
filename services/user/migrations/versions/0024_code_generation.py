"""Authorization codes end when the user's tokens are revoked."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Add only."""
    op.add_column(
        "authorization_codes", sa.Column("generation", sa.BigInteger, nullable=False, server_default=sa.text("0"))
    )
