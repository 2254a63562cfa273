"""Tables of authorization codes and consents."""

from datetime import timedelta

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, ForeignKey, Index, LargeBinary, Table, Text, text

from chassis.storage import retention
from services.user.metadata import metadata

_TIME = DateTime(timezone=True)


def _references(table: str) -> tuple[Column[str], Column[str]]:
    """The columns of the user who decided and of the client that asked."""
    user = ForeignKey("users.user_id", name=f"{table}_user", ondelete="CASCADE")
    client = ForeignKey("clients.client_id", name=f"{table}_client", ondelete="CASCADE")
    return Column("user_id", Text, user, nullable=False), Column("client_id", Text, client, nullable=False)


authorization_codes = Table(
    "authorization_codes",
    metadata,
    Column("code_hash", LargeBinary, primary_key=True),
    *_references("authorization_codes"),
    Column("redirect_uri", Text, nullable=False),
    Column("code_challenge", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("nonce", Text, nullable=False),
    Column("amr", ARRAY(Text), nullable=False),
    Column("authenticated_at", _TIME, nullable=False),
    Column("generation", BigInteger, nullable=False, server_default="0"),
    Column("created_at", _TIME, nullable=False),
    Column("expires_at", _TIME, nullable=False),
    Column("used_at", _TIME),
    Column("session_id", Text),
    Index("authorization_codes_of_user", "user_id", "created_at"),
    Index("authorization_codes_expiry", "expires_at", postgresql_where=text("used_at IS NULL")),
    Index("authorization_codes_used", "used_at", postgresql_where=text("used_at IS NOT NULL")),
    # A used code is kept for a day, so that its replay is recognised.
    info={
        "owner": ("user_id",),
        **retention.delete(
            retention.Expiry("expires_at", timedelta(0), "used_at IS NULL"),
            retention.Expiry("used_at", timedelta(days=1), "used_at IS NOT NULL"),
        ),
    },
)

consents = Table(
    "consents",
    metadata,
    *_references("consents"),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    Index("consents_of_user", "user_id", "client_id", unique=True),
    info={"owner": ("user_id",), **retention.keep("kept until the user takes it back")},
)
