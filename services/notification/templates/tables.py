"""Tables of templates."""

from sqlalchemy import Column, DateTime, ForeignKey, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from chassis.storage import retention
from services.notification.metadata import metadata

templates = Table(
    "templates",
    metadata,
    Column("template_id", Text(collation="C"), primary_key=True),
    # Empty of the platform's own.
    Column("partner_id", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("draft", JSONB, nullable=False),
    Column("samples", JSONB, nullable=False),
    Column("published_version", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Index("templates_of_partner", "partner_id", "mode", "template_id"),
    info={"owner": ("partner_id",), **retention.keep("two hundred of a partner in a mode")},
)
"""`draft` holds texts and branding; so does each version."""

template_versions = Table(
    "template_versions",
    metadata,
    Column(
        "template_id",
        Text(collation="C"),
        ForeignKey("templates.template_id", name="template_versions_template", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("content", JSONB, nullable=False),
    Column("published_at", DateTime(timezone=True), nullable=False),
    info=retention.keep("notifications refer to it"),
)
"""What was published, which never changes."""
