"""Indexes by which operators find users of all partners, built beside the work."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Add only."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for name, columns, where in (
            ("users_by_email", ["email_lookup"], None),
            ("users_by_external_reference", ["external_reference", "user_id"], "external_reference IS NOT NULL"),
        ):
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # of an attempt that was broken off
            op.create_index(
                name,
                "users",
                columns,
                postgresql_where=sa.text(where) if where else None,
                postgresql_concurrently=True,
            )
