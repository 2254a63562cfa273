"""What is in TEST is found by its partner."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Built while notifications are written."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        # One that an interrupted migration left is invalid.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS notifications_in_test")
        op.execute(
            "CREATE INDEX CONCURRENTLY notifications_in_test ON notifications (partner_id, notification_id) "
            "WHERE mode = 'TEST'"
        )
        op.execute("SET lock_timeout = '300ms'")
