"""Tables of gateways."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Table,
    Text,
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
    info=retention.keep("the sandbox provider's state; a refund may come at any time"),
)
