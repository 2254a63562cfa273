"""Encryption of personal data at rest: AES-256-GCM with key ids, and keyed hashes for look-ups.

A sealed value is `version byte, length of key id, key id, 12 random bytes, ciphertext`; its context (such as
`user.email`) is authenticated with it, so that a value cannot be moved to another column.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from chassis.settings import SettingsError

_VERSION = 1


class Vault:
    """Encrypts with the current key, decrypts with any. Derived keys come from the first key, which must never be removed."""

    def __init__(self, keys: Mapping[str, str], current: str = "") -> None:
        """`keys`: id → 32 bytes in base 64, the newest last, which is the current one unless another is named.

        Raises `SettingsError` for a key of another size, and where the current one is not among them.
        """
        raw = {name: _key(name, value) for name, value in keys.items()}
        self._ciphers = {name: AESGCM(key) for name, key in raw.items()}
        self.names = tuple(raw)
        self.root = self.names[0]
        self.current = current or self.names[-1]
        if self.current not in raw:
            raise SettingsError(f"WEFT_ENCRYPT_WITH: {current!r} is none of WEFT_DATA_KEYS; name one of them, or none.")
        self._root_key = raw[self.root]
        self._derived: dict[str, bytes] = {}

    def has(self, name: str) -> bool:
        """Whether a key is among those at hand."""
        return name in self._ciphers

    def key_of(self, sealed: bytes) -> str:
        """The id of the key that has encrypted a value; empty where nothing of the kind has."""
        end = 2 + sealed[1] if len(sealed) > 1 else 2
        if len(sealed) < end + 28 or sealed[0] != _VERSION:
            return ""
        return sealed[2:end].decode(errors="replace")

    def seal(self, value: bytes, context: str) -> bytes:
        """Encrypt a value; `open` needs the same context."""
        name = self.current.encode()
        nonce = os.urandom(12)
        sealed = self._ciphers[self.current].encrypt(nonce, value, context.encode())
        return bytes([_VERSION, len(name)]) + name + nonce + sealed

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt. Raises `ValueError` for a value that was not encrypted with these keys in this context."""
        cipher = self._ciphers.get(self.key_of(sealed))
        if cipher is None:
            raise ValueError("not sealed by this vault")
        end = 2 + sealed[1]
        try:
            return cipher.decrypt(sealed[end : end + 12], sealed[end + 12 :], context.encode())
        except InvalidTag:
            raise ValueError("not sealed by this vault") from None

    def lookup(self, value: str, context: str) -> bytes:
        """A keyed hash (32 bytes) for look-ups: the same for the same value and context."""
        return hmac.digest(self.derive(f"lookup {context}"), value.encode(), hashlib.sha256)

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes for another purpose, independent of the others (HKDF, RFC 5869). Purposes are few: keys are kept."""
        if purpose not in self._derived:
            made = HKDFExpand(algorithm=SHA256(), length=32, info=purpose.encode()).derive(self._root_key)
            self._derived[purpose] = made
        return self._derived[purpose]


def _key(name: str, value: str) -> bytes:
    try:
        key = base64.b64decode(value, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32 or not 0 < len(name.encode()) < 256:
        raise SettingsError(
            f"WEFT_DATA_KEYS: {name!r} is not 32 bytes in base 64; make one with `openssl rand -base64 32`."
        )
    return key
