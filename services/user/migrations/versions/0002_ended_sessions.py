"""An index for the retention of ended sessions."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add it."""
    op.create_index("sessions_ended", "sessions", ["ended_at"], postgresql_where=sa.text("ended_at IS NOT NULL"))
