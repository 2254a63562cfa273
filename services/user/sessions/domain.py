"""The rules of sessions and refresh tokens."""

import base64
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import NamedTuple

from chassis.errors import NotFound, Unauthenticated
from services.user.keys.authentication import Authentication

SESSION_LIFETIME = timedelta(days=90)
"""From sign-in, however often the session is refreshed."""
REFRESH_TOKEN_LIFETIME = timedelta(days=30)
"""How long a session may go without a refresh."""
MAX_OPEN_SESSIONS = 50
"""Of a user; one more ends the oldest."""
APP_PREFIX = "war_"
"""The prefix of an app's refresh tokens."""
APP_SESSION_LIFETIME = timedelta(minutes=15)
"""Of an app that got no refresh token: that of its access token."""
MAX_STORED_TOKENS = 300
"""Of a session. Used refresh tokens are stored to recognise reuse: months of daily use, days of constant use."""


class CredentialsInvalid(Unauthenticated):
    """No account that may sign in has this address and password."""


class SessionNotFound(NotFound):
    """There is no session {session_id}."""


class RefreshTokenInvalid(Unauthenticated):
    """The refresh token is unknown, replaced, expired or revoked; sign in again."""


class ScopeNotHeld(Exception):
    """A refresh requested scopes that the user's roles do not have; the refresh token is not used up."""


class RefreshOutcome(Enum):
    """What a presented refresh token leads to."""

    ROTATED = auto()
    REPEATED = auto()
    """It was replaced, and its successor was not used yet: the same successor once more."""
    REUSED = auto()
    REFUSED = auto()

    @property
    def granted(self) -> bool:
        """Whether there are tokens for it."""
        return self in (RefreshOutcome.ROTATED, RefreshOutcome.REPEATED)


class Place(NamedTuple):
    """A device such as `Firefox on Linux`, and an IPv4 /24 or IPv6 /48; either may be empty."""

    device: str
    network: str


NOWHERE = Place("", "")


@dataclass(frozen=True, slots=True)
class Session:
    """An open session. `place` is empty for apps, and where the release before opened it."""

    session_id: str
    user_id: str
    place: Place = field(repr=False)
    client_id: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """An issued refresh token, with its session."""

    token_hash: bytes = field(repr=False)
    session_id: str
    user_id: str
    expires_at: datetime
    used_at: datetime | None
    successor: str = field(repr=False)
    """The token that replaces this one."""
    has_unused_successor: bool
    session_expires_at: datetime
    session_ended_at: datetime | None
    authentication: Authentication
    client_id: str | None = None
    scopes: tuple[str, ...] = ()

    def present(self, now: datetime) -> RefreshOutcome:
        """The outcome of presenting the token.

        A reply may have been lost, and two tabs may refresh at once. But once the successor was used, whoever presents the
        token has not had it from us: one of two holders is a thief.
        """
        if self.session_ended_at is not None or now >= min(self.expires_at, self.session_expires_at):
            return RefreshOutcome.REFUSED
        if self.used_at is None:
            return RefreshOutcome.ROTATED
        return RefreshOutcome.REPEATED if self.has_unused_successor else RefreshOutcome.REUSED


def make_refresh_token() -> str:
    """256 random bits; the prefix makes it recognisable to secret scanners."""
    return f"wrt_{secrets.token_urlsafe(32)}"


def make_app_refresh_token() -> str:
    """The same for a partner's app; its prefix tells that only its client may use it."""
    return f"{APP_PREFIX}{secrets.token_urlsafe(32)}"


def successor(token: str, key: bytes) -> str:
    """The refresh token that replaces another: always the same one, which without the key nobody can tell."""
    derived = hmac.digest(key, token.encode(), "sha256")
    return token[: len(APP_PREFIX)] + base64.urlsafe_b64encode(derived).rstrip(b"=").decode()


def refresh_token_expiry(now: datetime, session_expires_at: datetime) -> datetime:
    """When a refresh token issued now expires: with its session at the latest."""
    return min(now + REFRESH_TOKEN_LIFETIME, session_expires_at)
