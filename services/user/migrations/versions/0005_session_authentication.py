"""Sessions know how and when their user was authenticated."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns. Sessions of the release before have neither: they began with a password when they were created."""
    op.add_column("sessions", sa.Column("amr", sa.ARRAY(sa.Text)))
    op.add_column("sessions", sa.Column("authenticated_at", sa.DateTime(timezone=True)))
