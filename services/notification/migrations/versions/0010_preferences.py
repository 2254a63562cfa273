"""What people want to be notified of, addresses that nothing is sent to, and the category of a notification."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add only: a notification of the release before has the category of its type."""
    op.create_table(
        "preferences",
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("muted", sa.ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'::text[]")),
        sa.Column("quiet_start", sa.Text, nullable=False, server_default=""),
        sa.Column("quiet_end", sa.Text, nullable=False, server_default=""),
        sa.Column("quiet_zone", sa.Text, nullable=False, server_default=""),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
    )
    op.create_table(
        "suppressions",
        sa.Column("suppression_id", sa.Text(collation="C"), primary_key=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("address_lookup", sa.LargeBinary, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("delivery_id", sa.Text, nullable=False, server_default=""),
        sa.Column("created_at", _TIME, nullable=False),
        sa.UniqueConstraint("channel", "address_lookup", "reason", name="suppressions_once"),
    )
    op.create_index(
        "suppressions_bounced", "suppressions", ["created_at"], postgresql_where=sa.text("reason = 'HARD_BOUNCE'")
    )
    op.add_column("notifications", sa.Column("category", sa.Text, nullable=False, server_default=""))
