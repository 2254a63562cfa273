"""Why a payment failed, as a code.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two columns. The release before this one writes rows without them: they have a default."""
    op.add_column("payments", sa.Column("failure_code", sa.Text, nullable=False, server_default=""))
    op.add_column("sandbox_charges", sa.Column("code", sa.Text, nullable=False, server_default=""))
