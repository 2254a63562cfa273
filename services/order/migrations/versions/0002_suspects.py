"""Queues know leases that do not count as attempts, and jobs that took longer than their time."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns."""
    for queue in ("outbox", "payment_work"):
        for column in ("excused", "overruns"):
            op.add_column(queue, sa.Column(column, sa.Integer, nullable=False, server_default="0"))
