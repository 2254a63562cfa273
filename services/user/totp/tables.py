"""Tables of one-time codes and recovery codes."""

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Index, Integer, LargeBinary, Table, Text

from chassis.security.sealed import sealed
from chassis.storage import retention
from services.user.metadata import metadata

SECRET = "user.totp_secret"  # noqa: S105 - the name of a context

_TIME = DateTime(timezone=True)


def _user(table: str) -> ForeignKey:
    return ForeignKey("users.user_id", name=f"{table}_user", ondelete="CASCADE")


totp_factors = Table(
    "totp_factors",
    metadata,
    Column("user_id", Text, _user("totp_factors"), primary_key=True),
    Column("secret_sealed", LargeBinary, nullable=False, info=sealed(SECRET)),
    Column("last_step", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("failures_since", _TIME),
    Column("created_at", _TIME, nullable=False),
    info={"owner": ("user_id",), **retention.keep("until they are disabled, or the account is erased")},
)

totp_enrolments = Table(
    "totp_enrolments",
    metadata,
    Column("user_id", Text, _user("totp_enrolments"), primary_key=True),
    Column("session_id", Text, nullable=False),
    Column("secret_sealed", LargeBinary, nullable=False, info=sealed(SECRET, expires=True)),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("expires_at", _TIME, nullable=False),
    Index("totp_enrolments_expiry", "expires_at"),
    info={"owner": ("user_id",), **retention.delete(retention.Expiry("expires_at"))},
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("user_id", Text, _user("recovery_codes"), primary_key=True),
    Column("code_hash", LargeBinary, primary_key=True),
    info={"owner": ("user_id",), **retention.keep("ten a user, each until it is used, or with the one-time codes")},
)
