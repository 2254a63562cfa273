"""The table of what providers have said."""

from sqlalchemy import Column, DateTime, ForeignKey, Index, Integer, Table, Text

from chassis.storage import retention
from services.notification.metadata import metadata

delivery_events = Table(
    "delivery_events",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("event_id", Text(collation="C"), primary_key=True),
    Column(
        "delivery_id",
        Text(collation="C"),
        ForeignKey("deliveries.delivery_id", name="delivery_events_delivery", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("message_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("code", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Index("delivery_events_of_delivery", "delivery_id"),
    info=retention.keep("goes with its notification"),
)
"""Known for as long as the delivery is: an event that is repeated changes nothing, however late."""
