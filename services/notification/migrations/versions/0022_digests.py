"""Digests."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add only."""
    op.add_column("deliveries", sa.Column("digest_id", sa.Text(collation="C"), nullable=False, server_default=""))
    op.add_column(
        "preferences",
        sa.Column("digests", sa.ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'::text[]")),
    )
    op.create_table(
        "digests",
        sa.Column("digest_id", sa.Text(collation="C"), primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("partner_id", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("due", _TIME, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("closed_at", _TIME),
    )
    op.create_index(
        "digests_open",
        "digests",
        ["user_id", "partner_id", "category", "channel"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_index("digests_closed", "digests", ["closed_at"], postgresql_where=sa.text("closed_at IS NOT NULL"))
    op.create_table(
        "digest_jobs",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, unique=True),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("traceparent", sa.Text, nullable=False, server_default=""),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("excused", sa.Integer, nullable=False, server_default="0"),
        sa.Column("overruns", sa.Integer, nullable=False, server_default="0"),
        sa.Column("due", _TIME, nullable=False),
        sa.Column("leased_until", _TIME),
        sa.Column("state", sa.Text, nullable=False, server_default="ready"),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME),
    )
    op.create_index("digest_jobs_due", "digest_jobs", ["due"], postgresql_where=sa.text("state = 'ready'"))
    op.create_index(
        "digest_jobs_finished", "digest_jobs", ["finished_at"], postgresql_where=sa.text("state <> 'ready'")
    )
    op.create_index("digest_jobs_dead", "digest_jobs", ["id"], postgresql_where=sa.text("state = 'dead'"))
