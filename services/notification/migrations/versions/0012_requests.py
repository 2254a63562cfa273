"""Notifications that are sent on request: what they say, by which channels and when; states of deliveries, and their dispatch."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_TIME = sa.DateTime(timezone=True)
_STATES = (
    "SENDING", "QUEUED", "SCHEDULED", "ACCEPTED", "DELIVERED", "SENT", "BOUNCED", "FAILED", "EXPIRED", "CANCELLED", "SKIPPED",
)  # fmt: skip


def upgrade() -> None:
    """Add only. The release before leaves alone what is none of its states, and sends nothing that it cannot compose."""
    for column in (
        sa.Column("content_sealed", sa.LargeBinary),
        sa.Column("channels", sa.ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'::text[]")),
        sa.Column("every_channel", sa.Boolean, nullable=False, server_default=sa.text("true")),
        sa.Column("send_at", _TIME),
        sa.Column("expire_at", _TIME),
        sa.Column("duplicate_of", sa.Text, nullable=False, server_default=""),
        sa.Column("accept_time", _TIME),
    ):
        op.add_column("notifications", column)
    op.add_column("deliveries", sa.Column("position", sa.Integer, nullable=False, server_default="0"))
    op.drop_constraint("deliveries_state", "deliveries")
    states = ", ".join(repr(state) for state in _STATES)
    op.execute(f"ALTER TABLE deliveries ADD CONSTRAINT deliveries_state CHECK (state IN ({states})) NOT VALID")
    op.create_table(
        "dedupe_keys",
        sa.Column("key_hash", sa.LargeBinary, primary_key=True),
        sa.Column("notification_id", sa.Text, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
    )
    op.create_index("dedupe_keys_expiry", "dedupe_keys", ["expires_at"])
    _queue("dispatch_jobs")


def _queue(name: str) -> None:
    op.create_table(
        name,
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
    op.create_index(f"{name}_due", name, ["due"], postgresql_where=sa.text("state = 'ready'"))
    op.create_index(f"{name}_finished", name, ["finished_at"], postgresql_where=sa.text("state <> 'ready'"))
    op.create_index(f"{name}_dead", name, ["id"], postgresql_where=sa.text("state = 'dead'"))
