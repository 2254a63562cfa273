"""Signs mails with DKIM (RFC 6376, RFC 8463), relaxed/relaxed.

The signing is our own: dkimpy, which verifies it in the tests, computes RSA in Python and holds the loop for 30 ms a mail.
"""

import base64
import hashlib
import re
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from chassis.settings import SettingsError

_SIGNED = (
    "from", "to", "subject", "date", "message-id", "list-unsubscribe", "list-unsubscribe-post", "mime-version",
    "content-type", "cc", "reply-to",
)  # fmt: skip
"""Each is signed once more than it is there, so that nobody adds another one (RFC 6376, 8.15)."""
_SELECTOR = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?")
_BLANKS = re.compile(rb"[ \t]+")


class Dkim:
    """Signs for one domain with one key, whose public part stands in the TXT record `<selector>._domainkey.<domain>`."""

    def __init__(self, key: str, selector: str, domain: str) -> None:
        """`key`: RSA of at least 2048 bits or Ed25519, PEM. Raises `SettingsError`."""
        try:
            loaded = load_pem_private_key(key.replace("\\n", "\n").encode(), None)
        except (ValueError, TypeError):
            loaded = None
        if isinstance(loaded, RSAPrivateKey) and loaded.key_size >= 2048:
            self._algorithm = "rsa-sha256"
        elif isinstance(loaded, Ed25519PrivateKey):
            self._algorithm = "ed25519-sha256"
        else:
            raise SettingsError("WEFT_DKIM_KEY: write an RSA key of at least 2048 bits, or an Ed25519 key, as PEM.")
        if not _SELECTOR.fullmatch(selector):
            raise SettingsError("WEFT_DKIM_SELECTOR: write the selector of the key's record, such as weft2026.")
        self._key: RSAPrivateKey | Ed25519PrivateKey = loaded
        self._selector = selector
        self._domain = domain

    def sign(self, mail: bytes, now: datetime) -> bytes:
        """The mail with its signature in front."""
        head, _, body = mail.partition(b"\r\n\r\n")
        fields = [_relaxed(field) for field in re.split(rb"\r\n(?![ \t])", head)]
        there = {field.partition(b":")[0].decode(): field for field in fields}
        present = [name for name in _SIGNED if name in there]
        body_hash = base64.b64encode(hashlib.sha256(_relaxed_body(body)).digest()).decode()
        unsigned = (
            f"DKIM-Signature: v=1; a={self._algorithm}; c=relaxed/relaxed; d={self._domain};\r\n"
            f" s={self._selector}; t={int(now.timestamp())};\r\n h={':'.join([*present, *_SIGNED])};\r\n bh={body_hash};\r\n b="
        ).encode()
        data = b"".join(there[name] + b"\r\n" for name in present) + _relaxed(unsigned)
        signature = base64.b64encode(self._sign(data))
        return unsigned + b"\r\n ".join(_pieces(signature)) + b"\r\n" + mail

    def _sign(self, data: bytes) -> bytes:
        if isinstance(self._key, RSAPrivateKey):
            return self._key.sign(data, PKCS1v15(), SHA256())
        return self._key.sign(hashlib.sha256(data).digest())


def _relaxed(field: bytes) -> bytes:
    """A header field (3.4.2), without its end."""
    name, _, value = field.partition(b":")
    return name.strip().lower() + b":" + _BLANKS.sub(b" ", value.replace(b"\r\n", b"")).strip()


def _relaxed_body(body: bytes) -> bytes:
    """3.4.4: blanks within a line are one, those at its end are none, nor are empty lines at the end."""
    lines = [_BLANKS.sub(b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


def _pieces(text: bytes) -> list[bytes]:
    return [text[start : start + 72] for start in range(0, len(text), 72)]
