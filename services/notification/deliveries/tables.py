"""Tables of deliveries."""

from datetime import timedelta

from sqlalchemy import (
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
from sqlalchemy.dialects.postgresql import JSONB

from chassis.queues import queue
from chassis.storage import retention
from services.notification.deliveries.domain import DeliveryState
from services.notification.metadata import metadata

mails = queue.table("mails", metadata)
"""Mails to send: `key` is the delivery."""

notifications = Table(
    "notifications",
    metadata,
    # Byte order is the order of time; a language's order would be slower and another.
    Column("notification_id", Text(collation="C"), primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("observer", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("facts", JSONB, nullable=False),
    Column("in_inbox", Boolean, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("read_time", DateTime(timezone=True)),
    # An observer that runs twice notifies once.
    UniqueConstraint("event_id", "observer", name="notifications_once"),
    Index("notifications_inbox", "user_id", "notification_id", postgresql_where=text("in_inbox")),
    Index(
        "notifications_unread",
        "user_id",
        "notification_id",
        postgresql_where=text("in_inbox AND read_time IS NULL"),
    ),
    info=retention.delete(retention.Expiry("notification_id", timedelta(days=365), id_prefix="ntf")),
)
"""What a user is told of: in the inbox, by deliveries, or both. `facts` is what the templates print."""

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
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    # The lease of the mail's job that claimed it last: only that one settles it.
    Column("lease", Integer, nullable=False, server_default="0"),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    UniqueConstraint("notification_id", "channel", name="deliveries_once"),
    CheckConstraint(
        f"state IN ({', '.join(repr(state.value) for state in DeliveryState)})",
        name="deliveries_state",
    ),
    info=retention.keep("goes with its notification"),
)
"""A notification on its way by one channel."""

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
    Column("answer", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    info=retention.keep("goes with its notification"),
)
"""What a provider answered, without addresses."""
