"""Contents as they are stored: encrypted in the row of their notification, as they are personal data."""

import json
from dataclasses import asdict

from chassis.security.encryption import Vault
from services.notification.content import Content

CONTEXT = "notification.content"


class Contents:
    """Writes and reads contents."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def seal(self, content: Content) -> bytes:
        """As it is stored: what it has, so that a release that knows less can read most of them."""
        parts = {name: part for name, part in asdict(content).items() if part}
        return self._vault.seal(json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode(), CONTEXT)

    def open(self, sealed: bytes) -> Content:
        """What was stored. Raises `ValueError` for anything else."""
        stored = self._vault.open(bytes(sealed), CONTEXT)
        parts = json.loads(stored)
        if b"\\ud" in stored:  # of an older release: half a character, which is no text, is a question mark
            parts = json.loads(json.dumps(parts, ensure_ascii=False).encode(errors="replace"))
        return Content(**parts)
