"""Tables of gateways."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    Table,
    Text,
    text,
)

from chassis.storage import retention
from services.order.metadata import metadata


def _time(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False)


# The sandbox provider's own state. It replaces an external party, so no query of ours joins with it.
sandbox_charges = Table(
    "sandbox_charges",
    metadata,
    Column("key", Text, primary_key=True),
    Column("method", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("code", Text, nullable=False, server_default=""),
    # When a charge that timed out is decided.
    _time("settles_at"),
    _time("created_at"),
    Column("captured_minor", BigInteger, nullable=False, server_default="0"),
    Column("refunded_minor", BigInteger, nullable=False, server_default="0"),
    Column("charged_back_minor", BigInteger, nullable=False, server_default="0"),
    Column("captures", Integer, nullable=False, server_default="0"),
    # When the payer's bank takes the money back, or gives it again.
    Column("event_at", DateTime(timezone=True)),
    Index("sandbox_charges_created_at", "created_at"),
    Index("sandbox_charges_event_at", "event_at", postgresql_where=text("event_at IS NOT NULL")),
    info=retention.keep("the sandbox provider's state; a refund may come at any time"),
)

sandbox_refunds = Table(
    "sandbox_refunds",
    metadata,
    Column("refund_id", Text, primary_key=True),
    Column("key", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    _time("created_at"),
    info=retention.keep("the sandbox provider's state; a refund must be recognised whenever it is repeated"),
)
