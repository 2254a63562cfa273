"""Webhooks: whether a request is from Weft. Signatures as Standard Webhooks 1.0 defines them (HMAC-SHA256).

    from weft_client import webhooks

    event = webhooks.verify(request.body, request.headers, "whsec_…")

Needs the body as it came, byte for byte: JSON that was parsed and written again does not verify.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
"""The headers of a webhook. The id is the event's: the same in every attempt, so drop what you have processed."""
SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix of secrets, not one
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64
TOLERANCE_S = 300.0
_MAX_SIGNATURES = 16


class WebhookInvalid(ValueError):
    """The request is not from Weft, or is too old or too new; answer 400 and do nothing."""


def verify(
    body: bytes | str,
    headers: Mapping[str, str],
    secret: str,
    tolerance: float = TOLERANCE_S,
    *,
    now: float | None = None,
) -> Any:
    """The event of a webhook, as parsed JSON. Raises `WebhookInvalid`.

    `headers` may be in any case; `secret` is that of the endpoint, `whsec_…`; `tolerance` is how many seconds the timestamp
    may differ from `now` (seconds since 1970; the present by default). Raises `ValueError` for a secret that is none.
    """
    raw = body.encode() if isinstance(body, str) else bytes(body)
    key = secret_key(secret)
    # What a library read as other than ASCII is in no header of ours; surrogates could not even be encoded.
    given = {str(name).lower(): str(value).encode("ascii", "replace").decode() for name, value in headers.items()}
    message_id, timestamp = given.get(ID, ""), given.get(TIMESTAMP, "")
    if not message_id or not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        raise WebhookInvalid("the webhook headers are missing or malformed")
    if abs((time.time() if now is None else now) - int(timestamp)) > tolerance:
        raise WebhookInvalid("the timestamp is too old or too new")
    expected = _signature(message_id, int(timestamp), raw, key)
    signatures = given.get(SIGNATURE, "").split()[:_MAX_SIGNATURES]
    if not any(hmac.compare_digest(each.encode(), expected.encode()) for each in signatures):
        raise WebhookInvalid("no signature matches")
    try:
        return json.loads(raw)
    except ValueError:
        raise WebhookInvalid("the body is not JSON") from None


def sign(body: bytes, message_id: str, timestamp: int, *secrets: str) -> dict[str, str]:
    """The headers of a webhook, with a signature by each secret. `timestamp` is in seconds since 1970."""
    signatures = [_signature(message_id, timestamp, body, secret_key(secret)) for secret in secrets]
    return {ID: message_id, TIMESTAMP: str(timestamp), SIGNATURE: " ".join(signatures)}


def secret_key(secret: str) -> bytes:
    """The bytes of a secret. Raises `ValueError` for what is not `whsec_` and 24 to 64 bytes in base 64."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise ValueError(f"A webhook secret is {SECRET_PREFIX} and 24 to 64 bytes in base 64.")
    return key


def _signature(message_id: str, timestamp: int, body: bytes, key: bytes) -> str:
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
