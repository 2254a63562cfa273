"""Apps that act for people: authorization codes, consents, and sessions of apps."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add only: the release before finds no refresh token of an app, because its hash is another."""
    op.add_column("sessions", sa.Column("client_id", sa.Text))
    op.add_column("sessions", sa.Column("scopes", sa.ARRAY(sa.Text)))
    op.create_table(
        "authorization_codes",
        sa.Column("code_hash", sa.LargeBinary, primary_key=True),
        sa.Column(
            "user_id",
            sa.Text,
            sa.ForeignKey("users.user_id", name="authorization_codes_user", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column(
            "client_id",
            sa.Text,
            sa.ForeignKey("clients.client_id", name="authorization_codes_client", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("redirect_uri", sa.Text, nullable=False),
        sa.Column("code_challenge", sa.Text, nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("nonce", sa.Text, nullable=False),
        sa.Column("amr", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("authenticated_at", _TIME, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("used_at", _TIME),
        sa.Column("session_id", sa.Text),
    )
    op.create_index("authorization_codes_of_user", "authorization_codes", ["user_id", "created_at"])
    for name, column, where in (
        ("expiry", "expires_at", "used_at IS NULL"),
        ("used", "used_at", "used_at IS NOT NULL"),
    ):
        op.create_index(f"authorization_codes_{name}", "authorization_codes", [column], postgresql_where=sa.text(where))
    op.create_table(
        "consents",
        sa.Column(
            "user_id",
            sa.Text,
            sa.ForeignKey("users.user_id", name="consents_user", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column(
            "client_id",
            sa.Text,
            sa.ForeignKey("clients.client_id", name="consents_client", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("scopes", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
    )
    op.create_index("consents_of_user", "consents", ["user_id", "client_id"], unique=True)
