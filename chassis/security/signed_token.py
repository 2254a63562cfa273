"""Opaque signed tokens that the service hands out and later reads back, such as page tokens and cursors.

A token is URL-safe base64 of an HMAC-SHA-256, cut to 16 bytes, and its payload. It is signed and not encrypted.
"""

import base64
import hmac

_MAC_BYTES = 16


class SignedToken:
    """Writes and reads the tokens of one purpose; derive the key with `Vault.derive`."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, payload: bytes, context: bytes) -> str:
        """A token that is valid for the same `context` only, such as its owner or its query."""
        return base64.urlsafe_b64encode(self._mac(payload, context) + payload).rstrip(b"=").decode()

    def read(self, token: str, context: bytes) -> bytes:
        """The payload. Raises `ValueError` for a token that was not written with this key for this context."""
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(payload, context)):
            raise ValueError("the signature does not match")
        return payload

    def _mac(self, payload: bytes, context: bytes) -> bytes:
        # The length keeps the end of a context apart from the beginning of a payload.
        return hmac.digest(self._key, len(context).to_bytes(4) + context + payload, "sha256")[:_MAC_BYTES]
