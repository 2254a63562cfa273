"""Create the tables of the user service."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create everything."""
    _create_partners()
    _create_users()
    _create_sessions()
    _create_chassis_tables()


def _create_partners() -> None:
    op.create_table(
        "partners",
        sa.Column("partner_id", sa.Text, primary_key=True),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False, server_default="1"),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.CheckConstraint("state IN ('ACTIVE', 'SUSPENDED')", name="partners_state"),
    )
    op.create_table(
        "clients",
        sa.Column("client_id", sa.Text, primary_key=True),
        sa.Column("partner_id", sa.Text, sa.ForeignKey("partners.partner_id", name="clients_partner"), nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("last_used_at", _TIME),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("revoked_at", _TIME),
    )
    op.create_index("clients_of_partner", "clients", ["partner_id", "client_id"])
    owner = sa.ForeignKey("clients.client_id", name="client_secrets_client", ondelete="CASCADE")
    op.create_table(
        "client_secrets",
        sa.Column("client_id", sa.Text, owner, primary_key=True),
        sa.Column("secret_hash", sa.LargeBinary, primary_key=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME),
    )
    op.create_index(
        "client_secrets_expiry", "client_secrets", ["expires_at"], postgresql_where=sa.text("expires_at IS NOT NULL")
    )


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("partner_id", sa.Text, sa.ForeignKey("partners.partner_id", name="users_partner")),
        sa.Column("email_sealed", sa.LargeBinary, nullable=False),
        sa.Column("email_lookup", sa.LargeBinary, nullable=False),
        sa.Column("display_name_sealed", sa.LargeBinary, nullable=False),
        sa.Column("locale", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("external_reference", sa.Text),
        sa.Column("roles", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text),
        sa.Column("revision", sa.BigInteger, nullable=False, server_default="1"),
        sa.Column("events", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.CheckConstraint("state IN ('INITIAL', 'ACTIVE', 'INACTIVE')", name="users_state"),
    )
    op.create_index(
        "users_email", "users", ["partner_id", "email_lookup"], unique=True, postgresql_nulls_not_distinct=True
    )
    op.create_index(
        "users_external_reference",
        "users",
        ["partner_id", "external_reference"],
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text("external_reference IS NOT NULL"),
    )
    op.create_index("users_of_partner", "users", ["partner_id", "user_id"])
    owner = sa.ForeignKey("users.user_id", name="verification_codes_user", ondelete="CASCADE")
    op.create_table(
        "verification_codes",
        sa.Column("user_id", sa.Text, owner, primary_key=True),
        sa.Column("code_hash", sa.LargeBinary, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
    )
    op.create_index("verification_codes_expiry", "verification_codes", ["expires_at"])


def _create_sessions() -> None:
    user = sa.ForeignKey("users.user_id", name="sessions_user", ondelete="CASCADE")
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, user, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME),
    )
    op.create_index("sessions_of_user", "sessions", ["user_id", "session_id"])
    op.create_index("sessions_expiry", "sessions", ["expires_at"])
    session = sa.ForeignKey("sessions.session_id", name="refresh_tokens_session", ondelete="CASCADE")
    op.create_table(
        "refresh_tokens",
        sa.Column("token_hash", sa.LargeBinary, primary_key=True),
        sa.Column("session_id", sa.Text, session, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("used_at", _TIME),
    )
    op.create_index("refresh_tokens_of_session", "refresh_tokens", ["session_id"])
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.Text, primary_key=True),
        sa.Column("private_sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("signs_from", _TIME, nullable=False),
    )


def _create_chassis_tables() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, unique=True),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("traceparent", sa.Text, nullable=False, server_default=""),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("due", _TIME, nullable=False),
        sa.Column("leased_until", _TIME),
        sa.Column("state", sa.Text, nullable=False, server_default="ready"),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME),
    )
    op.create_index("outbox_due", "outbox", ["due"], postgresql_where=sa.text("state = 'ready'"))
    op.create_index("outbox_finished", "outbox", ["finished_at"], postgresql_where=sa.text("state <> 'ready'"))
    op.create_table(
        "idempotency",
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("reply", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
    )
    op.create_index("idempotency_created_at", "idempotency", ["created_at"])
