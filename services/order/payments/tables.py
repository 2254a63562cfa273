"""Tables of payments."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Integer,
    Table,
    Text,
)

from chassis.queues import queue
from chassis.storage import retention
from services.order.metadata import metadata


def _time(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False)


payments = Table(
    "payments",
    metadata,
    Column("payment_id", Text, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("state", Text, nullable=False),
    # Counts the attempts with a method; part of the idempotency key of the calls to the provider.
    Column("attempt", Integer, nullable=False, server_default="1"),
    # Whether a call to the provider may have been made: before it, an order is cancelled without the provider.
    Column("provider_contacted", Boolean, nullable=False, server_default="false"),
    Column("captured_minor", BigInteger, nullable=False, server_default="0"),
    Column("refunded_minor", BigInteger, nullable=False, server_default="0"),
    Column("failure_reason", Text, nullable=False, server_default=""),
    Column("failure_code", Text, nullable=False, server_default=""),
    _time("created_at"),
    _time("updated_at"),
    CheckConstraint(
        "0 <= refunded_minor AND refunded_minor <= captured_minor AND captured_minor <= amount_minor",
        name="payments_amounts_in_order",
    ),
    postgresql_with={"fillfactor": "80"},
    info={"owner": ("order_id",), **retention.keep("business records")},
)

payment_work = queue.table("payment_work", metadata)
