"""What people recognise their sessions by."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Add only: sessions of the release before have neither."""
    op.add_column("sessions", sa.Column("place_sealed", sa.LargeBinary))
    op.add_column("sessions", sa.Column("last_used_at", sa.DateTime(timezone=True)))
