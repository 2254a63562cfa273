"""How many calls partners' clients make."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """New tables only."""
    op.create_table(
        "usage",
        sa.Column("partner_id", sa.Text, primary_key=True),
        sa.Column("usage_key", sa.Text(collation="C"), primary_key=True),
        sa.Column("day", _TIME, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
    )
    op.create_index("usage_expiry", "usage", ["day"])
    op.create_table(
        "usage_reports",
        sa.Column("report_id", sa.Text, primary_key=True),
        sa.Column("created_at", _TIME, nullable=False),
    )
    op.create_index("usage_reports_expiry", "usage_reports", ["created_at"])
