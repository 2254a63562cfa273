"""In which transaction a notification came to stand in the inbox."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add only; a default that is set afterwards rewrites no row."""
    op.execute("ALTER TABLE notifications ADD COLUMN shown_xid xid8")
    op.execute("ALTER TABLE notifications ALTER COLUMN shown_xid SET DEFAULT pg_current_xact_id()")
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for name, columns in (
            ("notifications_shown", "shown_xid"),
            ("notifications_shown_to", "user_id, shown_xid, notification_id"),
        ):
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # of an attempt that was broken off
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON notifications ({columns}) WHERE in_inbox")
