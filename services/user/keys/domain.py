"""When a signing key signs and how long it is published. Pure: times in, decisions out.

A key is published `LEAD` before it signs, so that every verifier knows it by then, and `TAIL` after its last signature,
so that every token that it signed can be verified to its end. In between JWKS holds two keys.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

PERIOD = timedelta(days=30)
"""How long a key signs."""
LEAD = timedelta(hours=1)
"""Longer than any verifier keeps a key set."""
TAIL = timedelta(hours=1)
"""Longer than an access token lives, with the clocks' skew."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key as a JSON Web Key (RFC 7517), and when it begins to sign."""

    kid: str
    private: str = field(repr=False)
    signs_from: datetime


def signer(keys: Sequence[SigningKey], now: datetime) -> SigningKey:
    """The key that signs now: the newest whose time has come. Raises `LookupError` where there is none."""
    ready = [key for key in keys if key.signs_from <= now]
    if not ready:
        raise LookupError("no signing key")
    return max(ready, key=lambda key: (key.signs_from, key.kid))


def next_start(keys: Sequence[SigningKey], now: datetime) -> datetime | None:
    """When a key that is to be made now should begin to sign; None while none is needed."""
    if not keys:
        return now
    newest = max(key.signs_from for key in keys)
    if newest + PERIOD - LEAD > now:
        return None
    return now + LEAD


def retired(keys: Sequence[SigningKey], now: datetime) -> list[SigningKey]:
    """Keys whose last token has ended: those that a successor replaced longer than `TAIL` ago."""
    ordered = sorted(keys, key=lambda key: (key.signs_from, key.kid))
    return [key for key, successor in pairwise(ordered) if successor.signs_from + TAIL <= now]
