"""Table of failed attempts that were counted while the cache was away."""

from sqlalchemy import Column, DateTime, Index, Integer, Table, Text

from chassis.storage import retention
from services.user.metadata import metadata

_TIME = DateTime(timezone=True)

failed_attempts = Table(
    "failed_attempts",
    metadata,
    # A kind of attempt, and keyed hashes of account and network.
    Column("key", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("waits_until", _TIME),
    Column("expires_at", _TIME, nullable=False),
    Index("failed_attempts_expiry", "expires_at"),
    info=retention.delete(retention.Expiry("expires_at")),
)
