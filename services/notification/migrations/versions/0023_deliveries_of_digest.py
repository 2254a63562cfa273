"""The index of the deliveries of a digest, built beside the calls."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Add it, however large the table is."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS deliveries_of_digest")  # of an attempt that was broken off
        op.create_index(
            "deliveries_of_digest",
            "deliveries",
            ["digest_id"],
            postgresql_where=sa.text("digest_id <> ''"),
            postgresql_concurrently=True,
        )
