"""Tables of payments."""

from datetime import timedelta

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    text,
)

from chassis.queues import queue
from chassis.storage import migrations, retention
from services.order.metadata import metadata

EVENT_RETENTION = timedelta(days=90)
"""Longer than any provider repeats an event."""

DISCREPANCY_RETENTION = timedelta(days=400)
"""Of a difference that is resolved; one that is not is kept."""


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
    Column("capture_when", Text, nullable=False, server_default="AT_ONCE"),
    # The provider's name of the charge, and where the payer must act.
    Column("provider_reference", Text, nullable=False, server_default=""),
    Column("next_action", Text, nullable=False, server_default=""),
    # What was requested and is not done: that the provider goes on, a capture (0 for none), refunds.
    Column("confirming", Boolean, nullable=False, server_default="false"),
    Column("capture_minor", BigInteger, nullable=False, server_default="0"),
    Column("refunding_minor", BigInteger, nullable=False, server_default="0"),
    Column("refund_count", Integer, nullable=False, server_default="0"),
    # These and the two sums above are those of payment_movements.
    Column("authorized_minor", BigInteger, nullable=False, server_default="0"),
    Column("charged_back_minor", BigInteger, nullable=False, server_default="0"),
    # To find a payment by an event; the sandbox's references are not looked up.
    Index("payments_reference", "provider_reference", postgresql_where=text("provider_reference LIKE 'pi\\_%'")),
    CheckConstraint(
        "0 <= refunding_minor AND refunded_minor + refunding_minor <= captured_minor",
        name="payments_refunds_within_captured",
    ),
    CheckConstraint(
        "0 <= refunded_minor AND refunded_minor <= captured_minor AND captured_minor <= amount_minor",
        name="payments_amounts_in_order",
    ),
    postgresql_with={"fillfactor": "80"},
    info={"owner": ("order_id",), **retention.keep("business records")},
)

# The ledger: appended to, never changed.
payment_movements = Table(
    "payment_movements",
    metadata,
    Column("payment_id", Text, primary_key=True),
    Column("movement_id", BigInteger, Identity(always=True), primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("provider_reference", Text, nullable=False),
    _time("created_at"),
    CheckConstraint("amount_minor > 0", name="payment_movements_amount_positive"),
    info={"owner": ("order_id",), **retention.keep("business records"), **migrations.APPEND_ONLY},
)

payment_refunds = Table(
    "payment_refunds",
    metadata,
    Column("refund_id", Text, primary_key=True),
    Column("payment_id", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    # Why it was requested, and why the provider refused it.
    Column("reason", Text, nullable=False),
    Column("failure", Text, nullable=False),
    # The return that it is for; empty for one that an operator requested.
    Column("return_id", Text, nullable=False),
    Column("actor", Text, nullable=False),
    _time("created_at"),
    _time("updated_at"),
    Index("payment_refunds_payment", "payment_id", "refund_id"),
    info={"owner": ("order_id",), **retention.keep("business records")},
)

provider_events = Table(
    "provider_events",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    # Empty where the event is about nothing of ours.
    Column("payment_id", Text, nullable=False),
    _time("received_at"),
    Index("provider_events_expiry", "received_at"),
    info=retention.delete(retention.Expiry("received_at", EVENT_RETENTION)),
)

# One row for each day and provider: who has it compares, and another one takes over where it died.
reconciliations = Table(
    "reconciliations",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("charges", Integer, nullable=False, server_default="0"),
    Column("differences", Integer, nullable=False, server_default="0"),
    _time("started_at"),
    Column("finished_at", DateTime(timezone=True)),
    Index("reconciliations_expiry", "started_at"),
    info=retention.delete(retention.Expiry("started_at", DISCREPANCY_RETENTION)),
)

payment_discrepancies = Table(
    "payment_discrepancies",
    metadata,
    Column("discrepancy_id", Text, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("payment_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("ours_minor", BigInteger, nullable=False),
    Column("theirs_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("provider_reference", Text, nullable=False),
    _time("created_at"),
    Column("resolved_at", DateTime(timezone=True)),
    Index(
        "payment_discrepancies_open",
        "provider",
        "payment_id",
        "kind",
        unique=True,
        postgresql_where=text("resolved_at IS NULL"),
    ),
    Index("payment_discrepancies_expiry", "resolved_at"),
    info=retention.delete(retention.Expiry("resolved_at", DISCREPANCY_RETENTION)),
)

payment_work = queue.table("payment_work", metadata)
