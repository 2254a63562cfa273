"""Tables of pending sign-ups and their codes."""

from sqlalchemy import (
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
)

from chassis.security.sealed import sealed
from chassis.storage import retention
from services.user.metadata import metadata
from services.user.users.tables import DISPLAY_NAME, EMAIL

_TIME = DateTime(timezone=True)

sign_ups = Table(
    "sign_ups",
    metadata,
    Column("sign_up_id", Text, primary_key=True),
    Column("email_sealed", LargeBinary, nullable=False, info=sealed(EMAIL)),
    Column("email_lookup", LargeBinary, nullable=False),
    Column("display_name_sealed", LargeBinary, nullable=False, info=sealed(DISPLAY_NAME)),
    Column("locale", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("network", LargeBinary, nullable=False),
    Column("mails", Integer, nullable=False),
    Column("code_hash", LargeBinary),
    Column("code_expires_at", _TIME),
    Column("attempts", Integer, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("expires_at", _TIME, nullable=False),
    # One for each address and password: other people's sign-ups with an address do not touch its owner's.
    Index("sign_ups_once", "email_lookup", "password_hash", unique=True),
    Index("sign_ups_expiry", "expires_at"),
    info=retention.delete(retention.Expiry("expires_at")),
)

# Written by the previous release, which stored its codes here; a later release drops it.
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
    info={"unowned": "nothing reads it any more", **retention.delete(retention.Expiry("expires_at"))},
)
