"""Table of audit events. The role that serves may read and append, and do nothing else (docs/decisions/0075)."""

from datetime import timedelta

from sqlalchemy import ARRAY, Column, DateTime, Index, LargeBinary, Table, Text

from chassis.security.sealed import sealed
from chassis.storage import migrations, retention
from services.user.metadata import metadata

ADDRESS = "audit_event.address"

LIFETIME = timedelta(days=400)
"""How long an event is kept: a year and the time to look back at it. `expire_audit_events` deletes no younger one."""

audit_events = Table(
    "audit_events",
    metadata,
    Column("audit_event_id", Text, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("on_behalf_of", Text),
    Column("client_id", Text),
    Column("session_id", Text),
    Column("mode", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("fields", ARRAY(Text), nullable=False),
    Column("request_id", Text, nullable=False),
    Column("address_sealed", LargeBinary, info=sealed(ADDRESS)),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Index("audit_events_by_actor", "actor", "audit_event_id"),
    Index("audit_events_by_subject", "subject", "audit_event_id"),
    Index("audit_events_by_action", "action", "audit_event_id"),
    Index("audit_events_expiry", "created_at"),
    info={**retention.delete_by("expire_audit_events", LIFETIME, "created_at"), **migrations.APPEND_ONLY},
)
