"""The table of suppressions."""

from datetime import timedelta

from sqlalchemy import Column, DateTime, Index, LargeBinary, Table, Text, UniqueConstraint, text

from chassis.storage import retention
from services.notification.metadata import metadata

suppressions = Table(
    "suppressions",
    metadata,
    Column("suppression_id", Text(collation="C"), primary_key=True),
    Column("channel", Text, nullable=False),
    Column("address_lookup", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("delivery_id", Text, nullable=False, server_default=""),
    Column("created_at", DateTime(timezone=True), nullable=False),
    # One address may have several, of which each stops something else.
    UniqueConstraint("channel", "address_lookup", "reason", name="suppressions_once"),
    Index("suppressions_bounced", "created_at", postgresql_where=text("reason = 'HARD_BOUNCE'")),
    info=retention.delete(retention.Expiry("created_at", timedelta(days=365), "reason = 'HARD_BOUNCE'")),
)
"""By a keyed hash of the address: it can be asked for and not be read. What a recipient has said is kept."""
