"""The tables of digests."""

from datetime import timedelta

from sqlalchemy import Column, DateTime, Index, Integer, Table, Text, text

from chassis.queues import queue
from chassis.storage import retention
from services.notification.metadata import metadata

digest_jobs = queue.table("digest_jobs", metadata)
"""One row for each digest: `key` is the digest."""

digests = Table(
    "digests",
    metadata,
    Column("digest_id", Text(collation="C"), primary_key=True),
    Column("user_id", Text, nullable=False),
    # Who sends, as of the notifications: messages of two partners are never in one.
    Column("partner_id", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("size", Integer, nullable=False),
    # When it is sent, unless it is full before.
    Column("due", DateTime(timezone=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    # Since when nothing is added to it.
    Column("closed_at", DateTime(timezone=True)),
    Index(
        "digests_open",
        "user_id",
        "partner_id",
        "category",
        "channel",
        unique=True,
        postgresql_where=text("closed_at IS NULL"),
    ),
    Index("digests_closed", "closed_at", postgresql_where=text("closed_at IS NOT NULL")),
    info={"owner": ("user_id",), **retention.delete(retention.Expiry("closed_at", timedelta(days=30)))},
)
"""At most one of a person, a sender, a category and a channel is open. Its deliveries name it."""
