"""One-time codes that were requested: to reset a password, and for what else proves an address."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "code_requests",
        sa.Column("code_request_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("requester", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, sa.ForeignKey("users.user_id", name="code_requests_user", ondelete="CASCADE")),
        sa.Column("address_sealed", sa.LargeBinary, nullable=False),
        sa.Column("address_lookup", sa.LargeBinary, nullable=False),
        sa.Column("messages", sa.Integer, nullable=False),
        sa.Column("code_hash", sa.LargeBinary),
        sa.Column("code_expires_at", _TIME),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
    )
    op.create_index("code_requests_once", "code_requests", ["kind", "requester"], unique=True)
    op.create_index("code_requests_by_address", "code_requests", ["kind", "address_lookup"])
    op.create_index(
        "code_requests_of_user", "code_requests", ["user_id"], postgresql_where=sa.text("user_id IS NOT NULL")
    )
    op.create_index("code_requests_expiry", "code_requests", ["expires_at"])
