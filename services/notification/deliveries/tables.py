"""Tables of deliveries."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from chassis.queues import queue
from chassis.storage import retention
from services.notification.deliveries.domain import DeliveryState
from services.notification.metadata import metadata

email_jobs = queue.table("email_jobs", metadata)
"""One row for each delivery by e-mail: `key` is the delivery."""

sms_jobs = queue.table("sms_jobs", metadata)
"""The same for deliveries by text message."""

push_jobs = queue.table("push_jobs", metadata)
"""The same for deliveries by push."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", Text(collation="C"), primary_key=True),
    Column(
        "notification_id",
        Text(collation="C"),
        ForeignKey("notifications.notification_id", name="deliveries_notification", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("channel", Text, nullable=False),
    # Among the channels of its notification, in order of preference.
    Column("position", Integer, nullable=False, server_default="0"),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    # The lease of the job that claimed it last: only that one writes a result.
    Column("lease", Integer, nullable=False, server_default="0"),
    # The provider to which a response was lost: no other one is asked.
    Column("maybe_sent_by", Text, nullable=False, server_default=""),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    # The digest that says it, or is to; empty where it goes out alone.
    Column("digest_id", Text(collation="C"), nullable=False, server_default=""),
    UniqueConstraint("notification_id", "channel", name="deliveries_once"),
    Index("deliveries_of_digest", "digest_id", postgresql_where=text("digest_id <> ''")),
    CheckConstraint(
        f"state IN ({', '.join(repr(state.value) for state in DeliveryState)})",
        name="deliveries_state",
    ),
    Index("deliveries_unsent", "update_time", postgresql_where=text("state IN ('FAILED', 'BOUNCED', 'SKIPPED')")),
    info=retention.keep("goes with its notification"),
)

attempts = Table(
    "attempts",
    metadata,
    Column(
        "delivery_id",
        Text(collation="C"),
        ForeignKey("deliveries.delivery_id", name="attempts_delivery", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("provider", Text, nullable=False),
    Column("code", Integer, nullable=False),
    Column("latency_ms", Integer, nullable=False),
    Column("response", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    info=retention.keep("goes with its notification"),
)
"""The provider's responses, without addresses."""
