"""The devices and networks that users have signed in from."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add the table."""
    user = sa.ForeignKey("users.user_id", name="known_devices_user", ondelete="CASCADE")
    op.create_table(
        "known_devices",
        sa.Column("user_id", sa.Text, user, primary_key=True),
        sa.Column("device_hash", sa.LargeBinary, primary_key=True),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("known_devices_last_seen", "known_devices", ["last_seen_at"])
