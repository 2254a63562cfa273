"""The channels there are."""

from enum import Enum


class Channel(Enum):
    """A way to a user. The inbox is read by the user; the others are deliveries."""

    EMAIL = "EMAIL"
    INBOX = "INBOX"
