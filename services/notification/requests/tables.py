"""Tables of requests."""

from sqlalchemy import Column, DateTime, Index, LargeBinary, Table, Text

from chassis.storage import retention
from services.notification.metadata import metadata

dedupe_keys = Table(
    "dedupe_keys",
    metadata,
    Column("key_hash", LargeBinary, primary_key=True),
    Column("notification_id", Text, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("dedupe_keys_expiry", "expires_at"),
    info=retention.delete(retention.Expiry("expires_at")),
)
"""What must not be sent again yet: `key_hash` is of the partner, the mode, the key and the recipient."""
