"""The tables of the note service."""

from sqlalchemy import Column, DateTime, MetaData, Table, Text

from chassis.rpc import idempotency
from chassis.storage import retention

metadata = MetaData()
replies = idempotency.table(metadata)
notes = Table(
    "notes",
    metadata,
    Column("note_id", Text(collation="C"), primary_key=True),
    Column("partner_id", Text, nullable=False, index=True),
    Column("mode", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    info={"owner": ("partner_id", "mode"), **retention.keep("notes stay until their partner deletes them")},
)
