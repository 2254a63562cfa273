"""The channels there are, and what each of them is to the deliveries."""

from enum import Enum
from typing import Protocol, TypeVar

from services.notification.channels.outcome import ProviderResponse


class Channel(Enum):
    """A way to a user. The inbox is read by the user; the others are deliveries."""

    EMAIL = "EMAIL"
    INBOX = "INBOX"
    SMS = "SMS"
    PUSH = "PUSH"


EVERYWHERE = frozenset({Channel.EMAIL, Channel.INBOX, Channel.PUSH})
"""Of most events: what costs nothing. There is a push message where the person has registered a device."""


class Message(Protocol):
    """What a channel sends to one address or number."""

    @property
    def recipient(self) -> str: ...


M_contra = TypeVar("M_contra", contravariant=True)


class Carrier(Protocol[M_contra]):
    """Hands messages of one channel to a provider, whose `name` is stored with each attempt."""

    name: str

    async def send(self, message: M_contra) -> ProviderResponse:
        """Send one message. Never raises for what the provider does: the response says it."""
        ...
