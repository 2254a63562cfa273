"""Tables of webhook endpoints."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
)

from chassis.security.sealed import sealed
from chassis.storage import retention
from services.notification.metadata import metadata

SECRET = "webhook.secret"  # noqa: S105 - the context of secrets, not one

_TIME = DateTime(timezone=True)

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("endpoint_id", Text(collation="C"), primary_key=True),
    Column("partner_id", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("event_types", ARRAY(Text), nullable=False),
    Column("payload", Text, nullable=False),
    Column("max_requests_per_second", Integer, nullable=False),
    # Why nothing is sent; empty while something is.
    Column("disable_reason", Text, nullable=False, server_default=""),
    # Sealed: requests are signed with them.
    Column("secret", LargeBinary, nullable=False, info=sealed(SECRET)),
    Column("previous_secret", LargeBinary, info=sealed(SECRET)),
    Column("previous_expires_at", _TIME),
    Column("version", BigInteger, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    CheckConstraint("payload IN ('FULL', 'THIN')", name="webhook_endpoints_payload"),
    CheckConstraint("disable_reason IN ('', 'BY_PARTNER', 'GONE', 'FAILING')", name="webhook_endpoints_disable_reason"),
    Index("webhook_endpoints_of_partner", "partner_id", "mode", "endpoint_id"),
    info={"owner": ("partner_id",), **retention.keep("until the partner deletes them; at most twenty in a mode")},
)

webhook_lanes = Table(
    "webhook_lanes",
    metadata,
    Column(
        "endpoint_id",
        Text(collation="C"),
        ForeignKey("webhook_endpoints.endpoint_id", name="webhook_lanes_endpoint", ondelete="CASCADE"),
        primary_key=True,
    ),
    # When there is something to send; never before the end of a pause. Whoever owes a delivery moves it forward. A claim sets it to the
    # end of its lease: an earlier time says that something was owed since.
    Column("due", _TIME, nullable=False, server_default="infinity"),
    # One worker at a time sends to an endpoint. The number of the lease is its fencing token.
    Column("leased_until", _TIME, nullable=False, server_default="-infinity"),
    Column("lease", BigInteger, nullable=False, server_default="0"),
    # The breaker: failures of the receiver in a row, and until when it is left alone.
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("paused_until", _TIME, nullable=False, server_default="-infinity"),
    # Since when every attempt has failed.
    Column("failing_since", _TIME),
    # Whether the last attempt was a failure of the receiver: such lanes wait in a line of their own.
    Column("suspect", Boolean, nullable=False, server_default="false"),
    Index("webhook_lanes_due", "suspect", "due"),
    # Written with every batch: free space on the page.
    postgresql_with={"fillfactor": "50"},
    info={"lanes": True, **retention.keep("one for each endpoint, and goes with it")},
)
"""The line of each endpoint: what is claimed is an endpoint, so none waits behind another's deliveries."""
