"""Devices, and the queue of push messages."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add only."""
    op.create_table(
        "devices",
        sa.Column("device_id", sa.Text(collation="C"), primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("endpoint_lookup", sa.LargeBinary, nullable=False),
        sa.Column("subscription_sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.UniqueConstraint("endpoint_lookup", name="devices_once"),
    )
    op.create_index("devices_of_user", "devices", ["user_id", "updated_at"])
    op.create_table(
        "push_jobs",
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
    op.create_index("push_jobs_due", "push_jobs", ["due"], postgresql_where=sa.text("state = 'ready'"))
    op.create_index("push_jobs_finished", "push_jobs", ["finished_at"], postgresql_where=sa.text("state <> 'ready'"))
    op.create_index("push_jobs_dead", "push_jobs", ["id"], postgresql_where=sa.text("state = 'dead'"))
