"""Tables of webhook deliveries."""

from datetime import timedelta

from sqlalchemy import (
    BigInteger,
    Boolean,
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
from services.notification.metadata import metadata

_TIME = DateTime(timezone=True)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("delivery_id", Text(collation="C"), primary_key=True),
    # Neither key refers to its table: an endpoint is deleted at once, however much was sent to it.
    Column("endpoint_id", Text(collation="C"), nullable=False),
    Column("event_id", Text(collation="C"), nullable=False),
    Column("partner_id", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("state", Text, nullable=False),
    # Of all attempts, and of those since it was owed or sent once more, which the schedule counts.
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("tries", Integer, nullable=False, server_default="0"),
    # Counts how often it was sent once more: an attempt that began before says nothing about it.
    Column("replays", Integer, nullable=False, server_default="0"),
    Column("due", _TIME, nullable=False),
    Column("traceparent", Text, nullable=False, server_default=""),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    UniqueConstraint("endpoint_id", "event_id", name="webhook_deliveries_once"),
    CheckConstraint("state IN ('PENDING', 'SUCCEEDED', 'FAILED')", name="webhook_deliveries_state"),
    Index("webhook_deliveries_due", "endpoint_id", "due", postgresql_where=text("state = 'PENDING'")),
    Index("webhook_deliveries_of_endpoint", "endpoint_id", "delivery_id"),
    Index("webhook_deliveries_in_state", "endpoint_id", "state", "delivery_id"),
    info={
        "owner": ("partner_id",),
        **retention.delete(retention.Expiry("delivery_id", timedelta(days=30), id_prefix="whd")),
    },
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column(
        "delivery_id",
        Text(collation="C"),
        ForeignKey("webhook_deliveries.delivery_id", name="webhook_attempts_delivery", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("url", Text, nullable=False),
    Column("http_status", Integer, nullable=False),
    Column("failure", Text, nullable=False),
    Column("latency_ms", Integer, nullable=False),
    Column("response_body", Text, nullable=False),
    Column("create_time", _TIME, nullable=False),
    info=retention.keep("goes with its delivery"),
)
"""What endpoints answered: the partner's own words, bounded."""

suspensions = Table(
    "suspensions",
    metadata,
    Column("partner_id", Text, primary_key=True),
    Column("suspended", Boolean, nullable=False),
    # Of the event that said so: an earlier one that comes later changes nothing.
    Column("sequence", BigInteger, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    info={
        "unowned": "what the user service says of partners, for the workers",
        **retention.keep("one row for each partner that was ever suspended"),
    },
)

webhook_notice_jobs = queue.table("webhook_notice_jobs", metadata)
"""One row for each endpoint that was disabled because of failures: its partner's owners are told. `payload` is the event."""
