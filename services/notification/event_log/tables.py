"""The table of the event log."""

from datetime import timedelta

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Table, Text, text
from sqlalchemy.types import UserDefinedType

from chassis.storage import retention
from services.notification.metadata import metadata


class TransactionId(UserDefinedType[int]):
    """`xid8`: the number of a transaction, never used twice."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """As PostgreSQL calls it."""
        return "xid8"


partner_events = Table(
    "partner_events",
    metadata,
    Column("event_id", Text(collation="C"), primary_key=True),
    # The position in the log. Transactions commit out of order, so a reader stops before the oldest one that still runs: what
    # it has read is complete (docs/decisions/0036).
    Column("xid", TransactionId, nullable=False, server_default=text("pg_current_xact_id()")),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Column("partner_id", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("user_id", Text, nullable=False),
    # JSON, as it is sent: ids, states and amounts.
    Column("data", Text, nullable=False),
    Column("occur_time", DateTime(timezone=True), nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Index("partner_events_log", "partner_id", "mode", "xid", "seq"),
    Index("partner_events_of_type", "partner_id", "mode", "type", "xid", "seq"),
    Index("partner_events_of_subject", "partner_id", "mode", "subject_id", "xid", "seq"),
    Index("partner_events_of_user", "user_id", postgresql_where=text("user_id <> subject_id")),
    Index("partner_events_expiry", "create_time"),
    info={
        "owner": ("partner_id",),
        # A day longer than is promised, and than a delivery is kept, which needs its event.
        **retention.delete(retention.Expiry("create_time", timedelta(days=31))),
    },
)
"""What partners are told of. `user_id` is the id alone; an erasure takes it from events about anything else than the user."""
