"""De-duplication of events: they are delivered at least once, and take effect once."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Column, DateTime, Index, MetaData, Table, Text

from chassis.storage import retention
from chassis.storage.database import Query, Transaction

_MARK = Query(
    "INSERT INTO seen (consumer, event_id, seen_at) SELECT %(consumer)s, id, %(now)s FROM unnest(%(ids)s::text[]) AS id "
    "ORDER BY id ON CONFLICT DO NOTHING RETURNING event_id",
    name="mark seen",
)


def table(metadata: MetaData) -> Table:
    """The events that each consumer has processed."""
    return Table(
        "seen",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("event_id", Text, primary_key=True),
        Column("seen_at", DateTime(timezone=True), nullable=False),
        Index("seen_at", "seen_at"),
        # Longer than any queue retries.
        info=retention.delete(retention.Expiry("seen_at", timedelta(days=7))),
    )


async def mark(tx: Transaction, consumer: str, ids: Sequence[str], now: datetime) -> set[str]:
    """Mark events as processed, in the transaction that processes them; returns the new ones. Sorted to avoid deadlocks."""
    rows = await tx.all(_MARK, consumer=consumer, ids=sorted(set(ids)), now=now)
    return {row.event_id for row in rows}
