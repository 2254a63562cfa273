"""Tables of sessions and refresh tokens."""

from datetime import timedelta

from sqlalchemy import (
    ARRAY,
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

PLACE = "session.place"

_TIME = DateTime(timezone=True)

sessions = Table(
    "sessions",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.user_id", name="sessions_user", ondelete="CASCADE"), nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("expires_at", _TIME, nullable=False),
    Column("ended_at", _TIME),
    # How and when the user was authenticated; absent where the release before opened the session.
    Column("amr", ARRAY(Text)),
    Column("authenticated_at", _TIME),
    # Of a partner's app that acts for the user: which, and what it may do.
    Column("client_id", Text),
    Column("scopes", ARRAY(Text)),
    # Device and network at sign-in; when it was last refreshed, to the hour.
    Column("place_sealed", LargeBinary, info=sealed(PLACE, shown=True)),
    Column("last_used_at", _TIME),
    Index("sessions_of_user", "user_id", "session_id"),
    Index("sessions_open", "user_id", "session_id", postgresql_where=text("ended_at IS NULL")),
    Index("sessions_expiry", "expires_at"),
    Index("sessions_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    # An ended session is kept for a week, so that reuse of its refresh tokens is recognised.
    info={
        "owner": ("user_id",),
        **retention.delete(retention.Expiry("expires_at"), retention.Expiry("ended_at", timedelta(days=7))),
    },
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
    # A token whose session is deleted is deleted with it.
    info=retention.delete(retention.Expiry("expires_at")),
)
