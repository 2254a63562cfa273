"""The table of charges. Each update adds a version, so what applied to an order can be seen later."""

from sqlalchemy import Column, DateTime, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from chassis.storage import retention
from services.order.metadata import metadata

charge_tables = Table(
    "charge_tables",
    metadata,
    Column("version", Integer, primary_key=True),
    # A list of `domain.charges.Charge` as lists.
    Column("charges", JSONB, nullable=False),
    Column("actor", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    info=retention.keep("the history of charges and taxes"),
)
