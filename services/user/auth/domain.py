"""The rules of coming in: sessions and how wrong tries are answered."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

from chassis.errors import ResourceExhausted, Unauthenticated

SESSION_LIFE = timedelta(days=90)
"""However often it is refreshed."""
REFRESH_LIFE = timedelta(days=30)
"""How long a session may rest."""
MOST_SESSIONS = 50
"""Open at once for a person; one more ends the oldest."""
KEPT_TOKENS = 300
"""Of a session: used refresh tokens that are still known as such; months of daily use, days of constant use."""


class CredentialsInvalid(Unauthenticated):
    """Address and password do not fit an account that may sign in."""


class TooManyAttempts(ResourceExhausted):
    """Too many failed tries or mails asked for; come back a little later."""


class RefreshTokenInvalid(Unauthenticated):
    """The refresh token is unknown, used, ended or revoked; sign in again."""


class Refresh(Enum):
    """What becomes of a refresh token that is presented."""

    ROTATED = auto()
    REUSED = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class HeldToken:
    """A refresh token that was issued, with its session."""

    token_hash: bytes = field(repr=False)
    session_id: str
    user_id: str
    expires_at: datetime
    used_at: datetime | None
    session_expires_at: datetime
    session_ended_at: datetime | None

    def present(self, now: datetime) -> Refresh:
        """Rotated or refused. A token that comes twice is the mark of theft: one of its two bearers is not the user."""
        if self.session_ended_at is not None or now >= min(self.expires_at, self.session_expires_at):
            return Refresh.REFUSED
        return Refresh.ROTATED if self.used_at is None else Refresh.REUSED


def make_refresh_token() -> str:
    """256 random bits; the prefix lets leak scanners know it."""
    return f"wrt_{secrets.token_urlsafe(32)}"


def refresh_token_end(now: datetime, session_expires_at: datetime) -> datetime:
    """When a refresh token of now stops working."""
    return min(now + REFRESH_LIFE, session_expires_at)
