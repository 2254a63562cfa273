"""Tables of the user service. Personal data is sealed; secrets are hashed; `*_lookup` columns are keyed hashes."""

from datetime import timedelta

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

from services.chassis import idempotency, retention, work

metadata = MetaData()
_TIME = DateTime(timezone=True)

partners = Table(
    "partners",
    metadata,
    Column("partner_id", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("state", Text, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default="1"),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    CheckConstraint("state IN ('ACTIVE', 'SUSPENDED')", name="partners_state"),
    info=retention.keep("lasts as long as the contract with the partner"),
)

clients = Table(
    "clients",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("partner_id", Text, ForeignKey("partners.partner_id", name="clients_partner"), nullable=False),
    Column("display_name", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("last_used_at", _TIME),
    Column("created_at", _TIME, nullable=False),
    Column("revoked_at", _TIME),
    Index("clients_of_partner", "partner_id", "client_id"),
    info=retention.keep("revoked clients stay known, so that an audit can name them"),
)

client_secrets = Table(
    "client_secrets",
    metadata,
    Column(
        "client_id",
        Text,
        ForeignKey("clients.client_id", name="client_secrets_client", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("secret_hash", LargeBinary, primary_key=True),
    Column("created_at", _TIME, nullable=False),
    Column("expires_at", _TIME),
    Index("client_secrets_expiry", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
    info=retention.delete(retention.Expiry("expires_at")),
)

users = Table(
    "users",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("partner_id", Text, ForeignKey("partners.partner_id", name="users_partner")),
    Column("email_sealed", LargeBinary, nullable=False),
    Column("email_lookup", LargeBinary, nullable=False),
    Column("display_name_sealed", LargeBinary, nullable=False),
    Column("locale", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("external_reference", Text),
    Column("roles", ARRAY(Text), nullable=False),
    Column("plan", Text, nullable=False),
    Column("password_hash", Text),
    Column("revision", BigInteger, nullable=False, server_default="1"),
    Column("events", BigInteger, nullable=False, server_default="0"),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    CheckConstraint("state IN ('INITIAL', 'ACTIVE', 'INACTIVE')", name="users_state"),
    # People who signed up themselves have no partner, and are unique among one another.
    Index("users_email", "partner_id", "email_lookup", unique=True, postgresql_nulls_not_distinct=True),
    Index(
        "users_external_reference",
        "partner_id",
        "external_reference",
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=text("external_reference IS NOT NULL"),
    ),
    Index("users_of_partner", "partner_id", "user_id"),
    Index("users_unproven", "created_at", postgresql_where=text("state = 'INITIAL'")),
    # Accounts stay until they are erased, but for those that the release before opened without a proof.
    info=retention.delete(
        retention.Expiry(
            "created_at",
            timedelta(hours=25),
            "state = 'INITIAL' AND partner_id IS NULL AND password_hash IS NOT NULL",
        )
    ),
)

sign_ups = Table(
    "sign_ups",
    metadata,
    Column("sign_up_id", Text, primary_key=True),
    Column("email_sealed", LargeBinary, nullable=False),
    Column("email_lookup", LargeBinary, nullable=False),
    Column("display_name_sealed", LargeBinary, nullable=False),
    Column("locale", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("network", LargeBinary, nullable=False),
    Column("mails", Integer, nullable=False),
    Column("code_hash", LargeBinary),
    Column("code_expires_at", _TIME),
    Column("attempts", Integer, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("expires_at", _TIME, nullable=False),
    # One for an address and a password: strangers' sign-ups with an address leave its owner's alone.
    Index("sign_ups_once", "email_lookup", "password_hash", unique=True),
    Index("sign_ups_expiry", "expires_at"),
    info=retention.delete(retention.Expiry("expires_at")),
)

# Written by the release before, which kept its codes here; a release after this one drops it.
verification_codes = Table(
    "verification_codes",
    metadata,
    Column(
        "user_id",
        Text,
        ForeignKey("users.user_id", name="verification_codes_user", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("code_hash", LargeBinary, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("created_at", _TIME, nullable=False),
    Column("expires_at", _TIME, nullable=False),
    Index("verification_codes_expiry", "expires_at"),
    info=retention.delete(retention.Expiry("expires_at")),
)

sessions = Table(
    "sessions",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.user_id", name="sessions_user", ondelete="CASCADE"), nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("expires_at", _TIME, nullable=False),
    Column("ended_at", _TIME),
    Index("sessions_of_user", "user_id", "session_id"),
    Index("sessions_open", "user_id", "session_id", postgresql_where=text("ended_at IS NULL")),
    Index("sessions_expiry", "expires_at"),
    Index("sessions_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    # An ended session is kept for a while: until then a used refresh token is known as one.
    info=retention.delete(retention.Expiry("expires_at"), retention.Expiry("ended_at", timedelta(days=7))),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column(
        "session_id",
        Text,
        ForeignKey("sessions.session_id", name="refresh_tokens_session", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("created_at", _TIME, nullable=False),
    Column("expires_at", _TIME, nullable=False),
    Column("used_at", _TIME),
    Index("refresh_tokens_of_session", "session_id"),
    Index("refresh_tokens_expiry", "expires_at"),
    # Before that it goes with its session.
    info=retention.delete(retention.Expiry("expires_at")),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("private_sealed", LargeBinary, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("signs_from", _TIME, nullable=False),
    info=retention.keep("the rotation deletes a key when no valid token is signed with it"),
)

outbox = work.table("outbox", metadata)
idempotency_records = idempotency.table(metadata)
