"""Tables of passkeys, and of the challenges that they have answered."""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, ForeignKey, Index, LargeBinary, Table, Text

from chassis.security.sealed import sealed
from chassis.storage import retention
from services.user.metadata import metadata

DISPLAY_NAME = "passkey.display_name"

_TIME = DateTime(timezone=True)

passkeys = Table(
    "passkeys",
    metadata,
    Column("passkey_id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.user_id", name="passkeys_user", ondelete="CASCADE"), nullable=False),
    Column("credential_id", LargeBinary, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("display_name_sealed", LargeBinary, nullable=False, info=sealed(DISPLAY_NAME, shown=True)),
    Column("backed_up", Boolean, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("last_used_at", _TIME),
    Column("revision", BigInteger, nullable=False, server_default="1"),
    Index("passkeys_credential", "credential_id", unique=True),
    Index("passkeys_of_user", "user_id", "passkey_id"),
    info={"owner": ("user_id",), **retention.keep("twenty a user, each until it is deleted, or the account is erased")},
)

used_challenges = Table(
    "used_challenges",
    metadata,
    Column("challenge_hash", LargeBinary, primary_key=True),
    Column("expires_at", _TIME, nullable=False),
    Index("used_challenges_expiry", "expires_at"),
    # One that has expired is refused without its row.
    info=retention.delete(retention.Expiry("expires_at")),
)
