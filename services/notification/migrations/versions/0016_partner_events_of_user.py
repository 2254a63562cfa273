"""The events of a person who is erased are found by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add only, beside the calls."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS partner_events_of_user")  # of an attempt that was broken off
        op.create_index(
            "partner_events_of_user",
            "partner_events",
            ["user_id"],
            postgresql_where=sa.text("user_id <> subject_id"),
            postgresql_concurrently=True,
        )
