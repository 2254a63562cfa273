"""What providers say of messages after they have accepted them."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add only."""
    op.create_table(
        "delivery_events",
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Text(collation="C"), primary_key=True),
        sa.Column(
            "delivery_id",
            sa.Text(collation="C"),
            sa.ForeignKey("deliveries.delivery_id", name="delivery_events_delivery", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("code", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("delivery_events_of_delivery", "delivery_events", ["delivery_id"])
