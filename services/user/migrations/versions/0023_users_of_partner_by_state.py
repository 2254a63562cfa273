"""An index of users by state, built beside the calls."""

from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Add it, however large the table is."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS users_of_partner_by_state")  # of an attempt that was broken off
        op.create_index(
            "users_of_partner_by_state",
            "users",
            ["partner_id", "mode", "state", "user_id"],
            postgresql_concurrently=True,
        )
