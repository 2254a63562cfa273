"""One-time codes of authenticator apps, recovery codes, and failed attempts while the cache is away."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_TIME = sa.DateTime(timezone=True)


def _user(table: str) -> sa.ForeignKey:
    return sa.ForeignKey("users.user_id", name=f"{table}_user", ondelete="CASCADE")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "totp_factors",
        sa.Column("user_id", sa.Text, _user("totp_factors"), primary_key=True),
        sa.Column("secret_sealed", sa.LargeBinary, nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failures_since", _TIME),
        sa.Column("created_at", _TIME, nullable=False),
    )
    op.create_table(
        "totp_enrolments",
        sa.Column("user_id", sa.Text, _user("totp_enrolments"), primary_key=True),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("expires_at", _TIME, nullable=False),
    )
    op.create_index("totp_enrolments_expiry", "totp_enrolments", ["expires_at"])
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", sa.Text, _user("recovery_codes"), primary_key=True),
        sa.Column("code_hash", sa.LargeBinary, primary_key=True),
    )
    op.create_table(
        "failed_attempts",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("waits_until", _TIME),
        sa.Column("expires_at", _TIME, nullable=False),
    )
    op.create_index("failed_attempts_expiry", "failed_attempts", ["expires_at"])
