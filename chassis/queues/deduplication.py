"""De-duplication marks: delivery is at least once, its effect is once."""

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
    """Which consumer has taken which event."""
    return Table(
        "seen",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("event_id", Text, primary_key=True),
        Column("seen_at", DateTime(timezone=True), nullable=False),
        Index("seen_at", "seen_at"),
        # Longer than any queue keeps trying.
        info=retention.delete(retention.Expiry("seen_at", timedelta(days=7))),
    )


async def mark(tx: Transaction, consumer: str, ids: Sequence[str], now: datetime) -> set[str]:
    """Mark events as taken in the transaction that takes them; those that are new. Sorted, so that two never deadlock."""
    rows = await tx.all(_MARK, consumer=consumer, ids=sorted(set(ids)), now=now)
    return {row.event_id for row in rows}
