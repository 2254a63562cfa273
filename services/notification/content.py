"""What a notification says that was sent on request, and to whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Content:
    """The parts of a message, an address or a number where it is not to a user, and the caller's own data."""

    subject: str = ""
    text: str = ""
    html: str = ""
    short: str = ""
    email: str = ""
    phone: str = ""
    dedupe_key: str = ""
    sender_name: str = ""
    """Of a test of a template; otherwise its branding has it."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    """The variables of its template, which has the parts; of a test of one, `name` and `locale` of its reader."""

    @property
    def brief(self) -> str:
        """For a text message and the inbox."""
        return self.short or self.text
