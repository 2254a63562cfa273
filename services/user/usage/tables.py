"""Tables of usage."""

from datetime import timedelta

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text

from chassis.storage import retention
from services.user.metadata import metadata

_TIME = DateTime(timezone=True)

usage = Table(
    "usage",
    metadata,
    Column("partner_id", Text, primary_key=True),
    # Day, client, method and outcome, in the order of pages.
    Column("usage_key", Text(collation="C"), primary_key=True),
    Column("day", _TIME, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("calls", BigInteger, nullable=False),
    Index("usage_expiry", "day"),
    info={"owner": ("partner_id",), **retention.delete(retention.Expiry("day", timedelta(days=90)))},
)

usage_reports = Table(
    "usage_reports",
    metadata,
    Column("report_id", Text, primary_key=True),
    Column("created_at", _TIME, nullable=False),
    Index("usage_reports_expiry", "created_at"),
    info=retention.delete(retention.Expiry("created_at", timedelta(days=2))),
)
