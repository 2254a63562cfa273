"""When a signing key signs and how long it is published. Pure: times in, decisions out.

A key is published `PUBLISH_LEAD` before it signs, so that every verifier has it by then, and `RETIRE_DELAY` after its last
signature, so that every token that it signed can be verified until it expires. In between the JWKS has two keys.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

SIGNING_PERIOD = timedelta(days=30)
"""How long a key signs."""
PUBLISH_LEAD = timedelta(hours=1)
"""Longer than any verifier caches the key set."""
RETIRE_DELAY = timedelta(hours=1)
"""Longer than the lifetime of an access token, with clock skew."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key as a JSON Web Key (RFC 7517), and when it begins to sign."""

    kid: str
    private: str = field(repr=False)
    signs_from: datetime


def signer(keys: Sequence[SigningKey], now: datetime) -> SigningKey:
    """The key that signs now: the newest whose time has come, or the first to come if the clock was set back before it.

    Raises `LookupError` if there are no keys.
    """
    if not keys:
        raise LookupError("no signing key")
    ordered = sorted(keys, key=_order)
    due = [key for key in ordered if key.signs_from <= now]
    return due[-1] if due else ordered[0]


def next_start(keys: Sequence[SigningKey], now: datetime) -> datetime | None:
    """When a key that is made now should begin to sign; None while none is needed."""
    if not keys:
        return now
    newest = max(key.signs_from for key in keys)
    if newest + SIGNING_PERIOD - PUBLISH_LEAD > now:
        return None
    return now + PUBLISH_LEAD


def requested_start(keys: Sequence[SigningKey], now: datetime) -> datetime | None:
    """When a key should begin to sign that an operator asks for; None where one waits for its time already."""
    if not keys:
        return now
    return None if any(key.signs_from > now for key in keys) else now + PUBLISH_LEAD


def retired(keys: Sequence[SigningKey], now: datetime) -> list[SigningKey]:
    """Keys whose last token has expired: those that a successor replaced longer than `RETIRE_DELAY` ago."""
    return [key for key, successor in pairwise(sorted(keys, key=_order)) if successor.signs_from + RETIRE_DELAY <= now]


def _order(key: SigningKey) -> tuple[datetime, str]:
    return key.signs_from, key.kid
