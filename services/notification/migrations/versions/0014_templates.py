"""Templates with their versions, and which of them a notification has."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0014"
down_revision = "0013"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add only."""
    op.create_table(
        "templates",
        sa.Column("template_id", sa.Text(collation="C"), primary_key=True),
        sa.Column("partner_id", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("draft", JSONB, nullable=False),
        sa.Column("samples", JSONB, nullable=False),
        sa.Column("published_version", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
    )
    op.create_index("templates_of_partner", "templates", ["partner_id", "mode", "template_id"])
    op.create_table(
        "template_versions",
        sa.Column(
            "template_id",
            sa.Text(collation="C"),
            sa.ForeignKey("templates.template_id", name="template_versions_template", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("content", JSONB, nullable=False),
        sa.Column("published_at", _TIME, nullable=False),
    )
    op.add_column("notifications", sa.Column("template_id", sa.Text, nullable=False, server_default=""))
    op.add_column("notifications", sa.Column("template_version", sa.Integer, nullable=False, server_default="0"))
