"""Table of revocations."""

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Table, Text, text
from sqlalchemy.types import UserDefinedType

from chassis.storage import retention
from services.user.metadata import metadata


class TransactionId(UserDefinedType[int]):
    """`xid8`: the number of a transaction, never used twice."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """As PostgreSQL calls it."""
        return "xid8"


revocations = Table(
    "revocations",
    metadata,
    # Transactions commit out of order: a reader goes on after the newest one before which none still runs.
    Column("xid", TransactionId, primary_key=True, server_default=text("pg_current_xact_id()")),
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("subject_id", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("revocations_expiry", "expires_at"),
    info=retention.delete(retention.Expiry("expires_at")),
)
