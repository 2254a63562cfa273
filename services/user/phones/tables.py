"""Table of counters of text messages: in the database, since without a limit they would be paid for."""

from sqlalchemy import Column, DateTime, Index, Integer, LargeBinary, Table

from chassis.storage import retention
from services.user.metadata import metadata

text_counts = Table(
    "text_counts",
    metadata,
    # A keyed hash of a user, a number or a network.
    Column("subject", LargeBinary, primary_key=True),
    Column("texts", Integer, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("text_counts_expiry", "expires_at"),
    info=retention.delete(retention.Expiry("expires_at")),
)
