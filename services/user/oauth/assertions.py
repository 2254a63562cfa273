"""Clients that authenticate with a signed assertion: `private_key_jwt` (RFC 7523; OpenID Connect Core, section 9)."""

import base64
import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ("ES256", "PS256", "RS256")
MAX_LIFETIME = timedelta(minutes=5)
"""How long an assertion is valid at most: from its `iat`, or without one, from now to its `exp`."""
CLOCK_SKEW = timedelta(seconds=60)
MAX_ID_LENGTH = 255


class AssertionInvalid(Exception):
    """The assertion proves nothing; which part is wrong is not told."""


def client_of(assertion: str) -> str:
    """The client that an assertion is about, before anything of it is verified; empty if it cannot be read."""
    try:
        payload = assertion.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        subject = claims["sub"]
    except (IndexError, ValueError, KeyError, TypeError):
        return ""
    return subject if isinstance(subject, str) and "\0" not in subject else ""


def verify(
    assertion: str, client_id: str, jwks: str, audiences: Collection[str], now: datetime
) -> tuple[bytes, datetime]:
    """Check an assertion of a client with its keys. Returns a hash of its `jti`, to be used once, and until when.

    Raises `AssertionInvalid`.
    """
    try:
        claims = jwt.decode(assertion, KeySet.import_key_set(json.loads(jwks)), algorithms=list(ALGORITHMS)).claims
    except (JoseError, ValueError, TypeError):
        raise AssertionInvalid() from None
    if claims.get("iss") != client_id or claims.get("sub") != client_id or not _is_for(claims, audiences):
        raise AssertionInvalid()
    issued_at, begins_at, expires_at = (_time(claims, name) for name in ("iat", "nbf", "exp"))
    identifier = claims.get("jti")
    if expires_at is None or any(start is not None and start > now + CLOCK_SKEW for start in (issued_at, begins_at)):
        raise AssertionInvalid()
    if issued_at is not None:
        # Libraries set an hour; five minutes count.
        expires_at = min(expires_at, issued_at + MAX_LIFETIME)
    if not now - CLOCK_SKEW < expires_at <= now + MAX_LIFETIME + CLOCK_SKEW:
        raise AssertionInvalid()
    if not isinstance(identifier, str) or not 0 < len(identifier) <= MAX_ID_LENGTH:
        raise AssertionInvalid()
    return hashlib.sha256(f"{client_id} {identifier}".encode()).digest(), expires_at + CLOCK_SKEW


def _is_for(claims: Mapping[str, Any], audiences: Collection[str]) -> bool:
    """Whether the assertion is for this server alone: another one that it is also for could present it here."""
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    return bool(named) and all(isinstance(name, str) and name in audiences for name in named)


def _time(claims: Mapping[str, Any], name: str) -> datetime | None:
    value = claims.get(name)
    if value is None:
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        raise AssertionInvalid() from None
