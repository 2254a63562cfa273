"""What a notification says that was sent on request, and to whom: encrypted in its row, as both are personal data."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from chassis.security.encryption import Vault

CONTEXT = "notification.content"


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
    metadata: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    """The variables of its template, which has the parts."""

    @property
    def brief(self) -> str:
        """For a text message and the inbox."""
        return self.short or self.text


class Contents:
    """Writes and reads contents."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def seal(self, content: Content) -> bytes:
        """As it is stored."""
        return self._vault.seal(json.dumps(asdict(content), separators=(",", ":")).encode(), CONTEXT)

    def open(self, sealed: bytes) -> Content:
        """What was stored. Raises `ValueError` for anything else."""
        return Content(**json.loads(self._vault.open(bytes(sealed), CONTEXT)))
