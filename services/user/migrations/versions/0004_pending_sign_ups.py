"""Keep sign-ups apart until they are proven; find what is over by its time, and a person's open sessions by age."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add only: the release before goes on serving with its own tables."""
    op.create_table(
        "sign_ups",
        sa.Column("sign_up_id", sa.Text, primary_key=True),
        sa.Column("email_sealed", sa.LargeBinary, nullable=False),
        sa.Column("email_lookup", sa.LargeBinary, nullable=False),
        sa.Column("display_name_sealed", sa.LargeBinary, nullable=False),
        sa.Column("locale", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("network", sa.LargeBinary, nullable=False),
        sa.Column("mails", sa.Integer, nullable=False),
        sa.Column("code_hash", sa.LargeBinary),
        sa.Column("code_expires_at", _TIME),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
    )
    op.create_index("sign_ups_once", "sign_ups", ["email_lookup", "password_hash"], unique=True)
    op.create_index("sign_ups_expiry", "sign_ups", ["expires_at"])
    op.create_index("users_unproven", "users", ["created_at"], postgresql_where=sa.text("state = 'INITIAL'"))
    op.create_index(
        "sessions_open", "sessions", ["user_id", "session_id"], postgresql_where=sa.text("ended_at IS NULL")
    )
    op.create_index("refresh_tokens_expiry", "refresh_tokens", ["expires_at"])
