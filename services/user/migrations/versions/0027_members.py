"""The people of partners, and invitations to them."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """New tables only."""
    op.create_table(
        "members",
        sa.Column(
            "partner_id", sa.Text, sa.ForeignKey("partners.partner_id", name="members_partner"), primary_key=True
        ),
        sa.Column(
            "user_id",
            sa.Text,
            sa.ForeignKey("users.user_id", name="members_user", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("member_id", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False, server_default="1"),
        sa.Column("token_generation", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("members_by_id", "members", ["member_id"], unique=True)
    op.create_index("members_of_user", "members", ["user_id"])
    op.create_table(
        "invitations",
        sa.Column(
            "code_request_id",
            sa.Text,
            sa.ForeignKey("code_requests.code_request_id", name="invitations_code", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column(
            "partner_id", sa.Text, sa.ForeignKey("partners.partner_id", name="invitations_partner"), nullable=False
        ),
        sa.Column("role", sa.Text, nullable=False),
    )
    op.create_index("invitations_of_partner", "invitations", ["partner_id"])
