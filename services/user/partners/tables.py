"""Tables of partners, their clients and the clients' secrets."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
    text,
)

from chassis.storage import retention
from services.user.metadata import metadata

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
    Column("token_generation", BigInteger, nullable=False, server_default="0"),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    CheckConstraint("state IN ('ACTIVE', 'SUSPENDED')", name="partners_state"),
    info={
        "unowned": "operators manage them; a partner's people may read their own, whose id is in the token",
        **retention.keep("kept as long as the contract with the partner"),
    },
)

clients = Table(
    "clients",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("partner_id", Text, ForeignKey("partners.partner_id", name="clients_partner"), nullable=False),
    Column("display_name", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("authentication", Text, nullable=False, server_default="SECRET"),
    Column("grant_types", ARRAY(Text), nullable=False, server_default="{CLIENT_CREDENTIALS}"),
    Column("redirect_uris", ARRAY(Text), nullable=False, server_default="{}"),
    Column("jwks", Text),
    Column("revision", BigInteger, nullable=False, server_default="1"),
    Column("last_used_at", _TIME),
    Column("token_generation", BigInteger, nullable=False, server_default="0"),
    Column("created_at", _TIME, nullable=False),
    Column("revoked_at", _TIME),
    Column("mode", Text, nullable=False, server_default="LIVE"),
    Column("allowed_networks", ARRAY(Text), nullable=False, server_default="{}"),
    CheckConstraint("mode IN ('LIVE', 'TEST')", name="clients_mode"),
    Index("clients_of_partner", "partner_id", "client_id"),
    info={"owner": ("partner_id",), **retention.keep("revoked clients are kept, so that an audit can name them")},
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

# Assertions that were used, by a hash of client and `jti`.
client_assertions = Table(
    "client_assertions",
    metadata,
    Column("assertion_hash", LargeBinary, primary_key=True),
    Column("expires_at", _TIME, nullable=False),
    Index("client_assertions_expiry", "expires_at"),
    info=retention.delete(retention.Expiry("expires_at")),
)
