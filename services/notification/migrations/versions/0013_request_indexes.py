"""Indexes of notifications by partner and of deliveries that were not sent, built beside the calls."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add them, however large the tables are; the states are checked without keeping writers out."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("ALTER TABLE deliveries VALIDATE CONSTRAINT deliveries_state")
        for name in ("notifications_of_partner", "deliveries_unsent"):  # of an attempt that was broken off
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.create_index(
            "notifications_of_partner",
            "notifications",
            ["partner_id", "mode", "notification_id"],
            postgresql_where=sa.text("partner_id <> ''"),
            postgresql_concurrently=True,
        )
        op.create_index(
            "deliveries_unsent",
            "deliveries",
            ["update_time"],
            postgresql_where=sa.text("state IN ('FAILED', 'BOUNCED', 'SKIPPED')"),
            postgresql_concurrently=True,
        )
