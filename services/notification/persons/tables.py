"""Table of persons who were erased, so that an event that comes late recreates nothing."""

from datetime import timedelta

from sqlalchemy import Column, DateTime, Index, Table, Text

from chassis.storage import retention
from services.notification.metadata import metadata

erased_persons = Table(
    "erased_persons",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("erased_at", DateTime(timezone=True), nullable=False),
    Index("erased_persons_expiry", "erased_at"),
    # Longer than any event waits: a dead letter is kept for 90 days.
    info={
        "unowned": "read only to drop what comes late",
        **retention.delete(retention.Expiry("erased_at", timedelta(days=100))),
    },
)
"""The id alone, which leads nowhere any more."""
