"""The queue of erasures."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add only."""
    op.create_table(
        "erasure_jobs",
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
    op.create_index("erasure_jobs_due", "erasure_jobs", ["due"], postgresql_where=sa.text("state = 'ready'"))
    op.create_index(
        "erasure_jobs_finished", "erasure_jobs", ["finished_at"], postgresql_where=sa.text("state <> 'ready'")
    )
