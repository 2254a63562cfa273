"""The table of devices."""

from sqlalchemy import Column, DateTime, Index, LargeBinary, Table, Text, UniqueConstraint

from chassis.security.sealed import sealed
from chassis.storage import retention
from services.notification.metadata import metadata

devices = Table(
    "devices",
    metadata,
    Column("device_id", Text(collation="C"), primary_key=True),
    Column("user_id", Text, nullable=False),
    # A keyed hash of the endpoint: a browser belongs to who has registered it last.
    Column("endpoint_lookup", LargeBinary, nullable=False),
    Column("subscription_sealed", LargeBinary, nullable=False, info=sealed("notification.subscription")),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("endpoint_lookup", name="devices_once"),
    Index("devices_of_user", "user_id", "updated_at"),
    info={
        "owner": ("user_id",),
        **retention.keep("at most ten of a person, until the push service or the person removes it"),
    },
)
"""`subscription_sealed`: the endpoint and its keys."""
