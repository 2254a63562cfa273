"""The first tables: events to observe, notifications with their deliveries and attempts, mails to send."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "seen",
        sa.Column("consumer", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("seen_at", _TIME, nullable=False),
    )
    op.create_index("seen_at", "seen", ["seen_at"])
    _create_queue("observations")
    _create_queue("mails")
    _create_notifications()
    _create_deliveries()


def _create_queue(name: str) -> None:
    op.create_table(
        name,
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, unique=True),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("traceparent", sa.Text, nullable=False, server_default=""),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("due", _TIME, nullable=False),
        sa.Column("leased_until", _TIME),
        sa.Column("state", sa.Text, nullable=False, server_default="ready"),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME),
    )
    op.create_index(f"{name}_due", name, ["due"], postgresql_where=sa.text("state = 'ready'"))
    op.create_index(f"{name}_finished", name, ["finished_at"], postgresql_where=sa.text("state <> 'ready'"))


def _create_notifications() -> None:
    op.create_table(
        "notifications",
        sa.Column("notification_id", sa.Text(collation="C"), primary_key=True),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("observer", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("facts", JSONB, nullable=False),
        sa.Column("in_inbox", sa.Boolean, nullable=False),
        sa.Column("create_time", _TIME, nullable=False),
        sa.Column("read_time", _TIME),
        sa.UniqueConstraint("event_id", "observer", name="notifications_once"),
    )
    op.create_index(
        "notifications_inbox", "notifications", ["user_id", "notification_id"], postgresql_where=sa.text("in_inbox")
    )
    op.create_index(
        "notifications_unread",
        "notifications",
        ["user_id", "notification_id"],
        postgresql_where=sa.text("in_inbox AND read_time IS NULL"),
    )


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("delivery_id", sa.Text(collation="C"), primary_key=True),
        sa.Column(
            "notification_id",
            sa.Text(collation="C"),
            sa.ForeignKey("notifications.notification_id", name="deliveries_notification", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("create_time", _TIME, nullable=False),
        sa.Column("update_time", _TIME, nullable=False),
        sa.UniqueConstraint("notification_id", "channel", name="deliveries_once"),
        sa.CheckConstraint("state IN ('QUEUED', 'SENDING', 'SENT', 'FAILED', 'SKIPPED')", name="deliveries_state"),
    )
    op.create_table(
        "attempts",
        sa.Column(
            "delivery_id",
            sa.Text(collation="C"),
            sa.ForeignKey("deliveries.delivery_id", name="attempts_delivery", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("code", sa.Integer, nullable=False),
        sa.Column("latency_ms", sa.Integer, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("create_time", _TIME, nullable=False),
    )
