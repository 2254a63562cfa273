"""Table of users."""

from datetime import timedelta

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

from chassis.security.sealed import sealed
from chassis.storage import retention
from services.user.metadata import metadata

EMAIL, DISPLAY_NAME, PHONE, PROFILE = "user.email", "user.display_name", "user.phone", "user.profile"
"""Contexts of encrypted columns."""

_TIME = DateTime(timezone=True)

users = Table(
    "users",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("partner_id", Text, ForeignKey("partners.partner_id", name="users_partner")),
    Column("email_sealed", LargeBinary, nullable=False, info=sealed(EMAIL)),
    Column("email_lookup", LargeBinary, nullable=False),
    Column("display_name_sealed", LargeBinary, nullable=False, info=sealed(DISPLAY_NAME)),
    # Names, addresses and metadata: a message of the contract.
    Column("profile_sealed", LargeBinary, info=sealed(PROFILE)),
    Column("locale", Text, nullable=False),
    Column("time_zone", Text),
    Column("state", Text, nullable=False),
    Column("external_reference", Text),
    Column("roles", ARRAY(Text), nullable=False),
    Column("plan", Text, nullable=False),
    Column("password_hash", Text),
    Column("phone_sealed", LargeBinary, info=sealed(PHONE)),
    Column("phone_lookup", LargeBinary),
    Column("phone_verified_at", _TIME),
    Column("revision", BigInteger, nullable=False, server_default="1"),
    Column("events", BigInteger, nullable=False, server_default="0"),
    Column("token_generation", BigInteger, nullable=False, server_default="0"),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    Column("mode", Text, nullable=False, server_default="LIVE"),
    CheckConstraint("state IN ('INITIAL', 'ACTIVE', 'INACTIVE', 'LOCKED', 'DELETED')", name="users_state"),
    # Users without a partner are unique among one another. Of an address each mode has another hash.
    Index("users_email", "partner_id", "email_lookup", unique=True, postgresql_nulls_not_distinct=True),
    Index(
        "users_external_reference",
        "partner_id",
        "external_reference",
        "mode",
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=text("external_reference IS NOT NULL"),
    ),
    # For operators, who look among all partners.
    Index("users_by_email", "email_lookup"),
    Index(
        "users_by_external_reference",
        "external_reference",
        "user_id",
        postgresql_where=text("external_reference IS NOT NULL"),
    ),
    Index("users_by_state", "state", "user_id"),
    Index("users_of_partner_by_state", "partner_id", "mode", "state", "user_id"),
    Index("users_of_partner", "partner_id", "mode", "user_id"),
    Index("users_admins", "user_id", postgresql_where=text("'admin' = ANY (roles)")),
    Index("users_unproven", "created_at", postgresql_where=text("state = 'INITIAL'")),
    # Accounts are kept until they are erased, except those that the previous release opened without verification.
    info={
        "owner": ("partner_id", "user_id"),
        **retention.delete(
            retention.Expiry(
                "created_at",
                timedelta(hours=25),
                "state = 'INITIAL' AND partner_id IS NULL AND password_hash IS NOT NULL",
            )
        ),
    },
)
