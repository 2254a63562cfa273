"""Passkeys, and the challenges that they have answered."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the tables."""
    user = sa.ForeignKey("users.user_id", name="passkeys_user", ondelete="CASCADE")
    op.create_table(
        "passkeys",
        sa.Column("passkey_id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, user, nullable=False),
        sa.Column("credential_id", sa.LargeBinary, nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        sa.Column("display_name_sealed", sa.LargeBinary, nullable=False),
        sa.Column("backed_up", sa.Boolean, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("last_used_at", _TIME),
        sa.Column("revision", sa.BigInteger, nullable=False, server_default="1"),
    )
    op.create_index("passkeys_credential", "passkeys", ["credential_id"], unique=True)
    op.create_index("passkeys_of_user", "passkeys", ["user_id", "passkey_id"])
    op.create_table(
        "used_challenges",
        sa.Column("challenge_hash", sa.LargeBinary, primary_key=True),
        sa.Column("expires_at", _TIME, nullable=False),
    )
    op.create_index("used_challenges_expiry", "used_challenges", ["expires_at"])
