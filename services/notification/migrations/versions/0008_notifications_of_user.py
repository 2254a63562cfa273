"""An index of notifications by user, built beside the calls."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add it, however large the table is."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS notifications_of_user")  # of an attempt that was broken off
        op.create_index(
            "notifications_of_user", "notifications", ["user_id", "notification_id"], postgresql_concurrently=True
        )
