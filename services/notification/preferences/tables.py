"""The table of preferences."""

from sqlalchemy import ARRAY, Column, DateTime, Integer, Table, Text, text

from chassis.storage import retention
from services.notification.metadata import metadata

preferences = Table(
    "preferences",
    metadata,
    Column("user_id", Text, primary_key=True),
    # `MARKETING/EMAIL`
    Column("muted", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    # `ORDERS/EMAIL/3600`: with the seconds of the window.
    Column("digests", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    # `22:00`, or empty.
    Column("quiet_start", Text, nullable=False, server_default=""),
    Column("quiet_end", Text, nullable=False, server_default=""),
    Column("quiet_zone", Text, nullable=False, server_default=""),
    Column("version", Integer, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    info={"owner": ("user_id",), **retention.keep("what a person has chosen holds until the person is erased")},
)
"""Of those who have chosen something."""
