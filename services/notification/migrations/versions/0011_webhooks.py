"""Webhooks: endpoints with their lanes, the event log, deliveries with their attempts; and replies to repeated calls."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import UserDefinedType

revision = "0011"
down_revision = "0010"

_TIME = sa.DateTime(timezone=True)
_ID = sa.Text(collation="C")


class _TransactionId(UserDefinedType[int]):
    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


def upgrade() -> None:
    """New tables only."""
    _create_idempotency()
    _create_endpoints()
    _create_events()
    _create_deliveries()
    _create_notices()


def _create_idempotency() -> None:
    op.create_table(
        "idempotency",
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("reply", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
    )
    op.create_index("idempotency_created_at", "idempotency", ["created_at"])


def _create_endpoints() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("endpoint_id", _ID, primary_key=True),
        sa.Column("partner_id", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("event_types", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("max_requests_per_second", sa.Integer, nullable=False),
        sa.Column("disable_reason", sa.Text, nullable=False, server_default=""),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("previous_secret", sa.LargeBinary),
        sa.Column("previous_expires_at", _TIME),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.CheckConstraint("payload IN ('FULL', 'THIN')", name="webhook_endpoints_payload"),
        sa.CheckConstraint(
            "disable_reason IN ('', 'BY_PARTNER', 'GONE', 'FAILING')", name="webhook_endpoints_disable_reason"
        ),
    )
    op.create_index("webhook_endpoints_of_partner", "webhook_endpoints", ["partner_id", "mode", "endpoint_id"])
    op.create_table(
        "webhook_lanes",
        sa.Column(
            "endpoint_id",
            _ID,
            sa.ForeignKey("webhook_endpoints.endpoint_id", name="webhook_lanes_endpoint", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("due", _TIME, nullable=False, server_default="infinity"),
        sa.Column("leased_until", _TIME, nullable=False, server_default="-infinity"),
        sa.Column("lease", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("paused_until", _TIME, nullable=False, server_default="-infinity"),
        sa.Column("failing_since", _TIME),
        sa.Column("suspect", sa.Boolean, nullable=False, server_default="false"),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index("webhook_lanes_due", "webhook_lanes", ["suspect", "due"])


def _create_events() -> None:
    op.create_table(
        "partner_events",
        sa.Column("event_id", _ID, primary_key=True),
        sa.Column("xid", _TransactionId, nullable=False, server_default=sa.text("pg_current_xact_id()")),
        sa.Column("seq", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("partner_id", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("occur_time", _TIME, nullable=False),
        sa.Column("create_time", _TIME, nullable=False),
    )
    owner = ["partner_id", "mode"]
    op.create_index("partner_events_log", "partner_events", [*owner, "xid", "seq"])
    op.create_index("partner_events_of_type", "partner_events", [*owner, "type", "xid", "seq"])
    op.create_index("partner_events_of_subject", "partner_events", [*owner, "subject_id", "xid", "seq"])
    op.create_index("partner_events_expiry", "partner_events", ["create_time"])


def _create_deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("delivery_id", _ID, primary_key=True),
        sa.Column("endpoint_id", _ID, nullable=False),
        sa.Column("event_id", _ID, nullable=False),
        sa.Column("partner_id", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("replays", sa.Integer, nullable=False, server_default="0"),
        sa.Column("due", _TIME, nullable=False),
        sa.Column("traceparent", sa.Text, nullable=False, server_default=""),
        sa.Column("create_time", _TIME, nullable=False),
        sa.Column("update_time", _TIME, nullable=False),
        sa.UniqueConstraint("endpoint_id", "event_id", name="webhook_deliveries_once"),
        sa.CheckConstraint("state IN ('PENDING', 'SUCCEEDED', 'FAILED')", name="webhook_deliveries_state"),
    )
    pending = sa.text("state = 'PENDING'")
    op.create_index("webhook_deliveries_due", "webhook_deliveries", ["endpoint_id", "due"], postgresql_where=pending)
    op.create_index("webhook_deliveries_of_endpoint", "webhook_deliveries", ["endpoint_id", "delivery_id"])
    op.create_index("webhook_deliveries_in_state", "webhook_deliveries", ["endpoint_id", "state", "delivery_id"])
    op.create_table(
        "webhook_attempts",
        sa.Column(
            "delivery_id",
            _ID,
            sa.ForeignKey("webhook_deliveries.delivery_id", name="webhook_attempts_delivery", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("http_status", sa.Integer, nullable=False),
        sa.Column("failure", sa.Text, nullable=False),
        sa.Column("latency_ms", sa.Integer, nullable=False),
        sa.Column("response_body", sa.Text, nullable=False),
        sa.Column("create_time", _TIME, nullable=False),
    )


def _create_notices() -> None:
    name = "webhook_notice_jobs"
    op.create_table(
        name,
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, unique=True),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("traceparent", sa.Text, nullable=False, server_default=""),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("excused", sa.Integer, nullable=False, server_default="0"),
        sa.Column("overruns", sa.Integer, nullable=False, server_default="0"),
        sa.Column("due", _TIME, nullable=False),
        sa.Column("leased_until", _TIME),
        sa.Column("state", sa.Text, nullable=False, server_default="ready"),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME),
    )
    op.create_index(f"{name}_due", name, ["due"], postgresql_where=sa.text("state = 'ready'"))
    op.create_index(f"{name}_finished", name, ["finished_at"], postgresql_where=sa.text("state <> 'ready'"))
    op.create_index(f"{name}_dead", name, ["id"], postgresql_where=sa.text("state = 'dead'"))
