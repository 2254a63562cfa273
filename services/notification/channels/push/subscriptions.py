"""What a push message is sent to."""

import base64
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Subscription:
    """A Web Push subscription: where to, and the keys of the receiver, in base64url."""

    endpoint: str = field(repr=False)
    p256dh: str = field(repr=False)
    auth: str = field(repr=False)


@dataclass(frozen=True)
class Device:
    """A subscription of a person."""

    device_id: str
    subscription: Subscription
    created_at: datetime
    updated_at: datetime


def encode(value: bytes) -> str:
    """As base64url, without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The bytes of a base64url text, with padding or without."""
    return base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
