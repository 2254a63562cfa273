"""Queues that operators have paused, and indexes of dead letters, built beside the work."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Add only."""
    op.create_table(
        "paused_queues",
        sa.Column("queue", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=False),
        if_not_exists=True,
    )
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for queue in ("erasure_jobs", "outbox"):
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {queue}_dead")  # of an attempt that was broken off
            op.create_index(
                f"{queue}_dead", queue, ["id"], postgresql_where=sa.text("state = 'dead'"), postgresql_concurrently=True
            )
