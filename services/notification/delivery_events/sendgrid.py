"""The signed event webhook of SendGrid.

Each request is a JSON list of events. The signature is ECDSA on P-256 with SHA-256, of the timestamp and the body as they are
(https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features).
"""

import base64
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from chassis.settings import SettingsError
from services.notification.channels.channel import Channel
from services.notification.delivery_events.domain import DeliveryEvent, EventMalformed, EventSignatureInvalid, Kind

MAX_AGE_S, MAX_AHEAD_S = 25 * 3600, 300
"""Of a signature: SendGrid repeats a request for a day."""
MAX_ID = 255
SIGNATURE, TIMESTAMP = "x-twilio-email-event-webhook-signature", "x-twilio-email-event-webhook-timestamp"
_DELIVERY_ID = r"dlv_[0-7][0-9a-hjkmnp-tv-z]{25}"
_DROPPED = {
    "bounced address": Kind.HARD_BOUNCE,
    "invalid": Kind.HARD_BOUNCE,
    "spam reporting address": Kind.COMPLAINT,
}
"""Of mails that SendGrid has not sent, by why; a complaint is one of an earlier mail."""


class SendGridEvents:
    """Reads events that are signed with one of our keys."""

    channel = Channel.EMAIL

    def __init__(self, keys: Sequence[str]) -> None:
        """`keys` are public keys as SendGrid shows them: DER, base64. Raises `SettingsError`."""
        self._keys = [_load(key) for key in keys]

    def read(self, body: bytes, header: Callable[[str], str], _: str, now: float) -> Sequence[DeliveryEvent]:
        """The events that are about one of our deliveries. Raises `EventSignatureInvalid` and `EventMalformed`."""
        timestamp = header(TIMESTAMP)
        if not re.fullmatch(r"[0-9]{1,12}", timestamp) or not -MAX_AHEAD_S <= now - int(timestamp) <= MAX_AGE_S:
            raise EventSignatureInvalid
        if not self._is_signed(timestamp.encode() + body, header(SIGNATURE)):
            raise EventSignatureInvalid
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            raise EventMalformed from None
        if not isinstance(found, list):
            raise EventMalformed
        events = {event.event_id: event for each in found if (event := _read(each)) is not None}
        return [*events.values()]

    def _is_signed(self, signed: bytes, signature: str) -> bool:
        try:
            given = base64.b64decode(signature[:200], validate=True)
        except ValueError:
            return False
        for key in self._keys:
            try:
                key.verify(given, signed, ECDSA(SHA256()))
            except InvalidSignature:
                continue
            return True
        return False


def _load(key: str) -> EllipticCurvePublicKey:
    try:
        loaded = load_der_public_key(base64.b64decode(key, validate=True))
    except ValueError:
        loaded = None
    if not isinstance(loaded, EllipticCurvePublicKey) or not isinstance(loaded.curve, SECP256R1):
        raise SettingsError(
            "WEFT_SENDGRID_EVENT_KEYS: write public keys of the curve P-256, DER in base64, as SendGrid shows them."
        )
    return loaded


def _read(event: Any) -> DeliveryEvent | None:
    """None where it says nothing of a delivery of ours. One that cannot be read does not hold up its neighbours."""
    if not isinstance(event, dict):
        return None
    kind = _kind(_text(event.get("event")), event)
    event_id, message_id = _id(event.get("sg_event_id")), _id(event.get("sg_message_id"))
    delivery_id = _delivery_id(event)
    if kind is None or not (event_id and message_id and delivery_id):
        return None
    status = re.match(r"[0-9]{3}\b", _text(event.get("reason")))
    return DeliveryEvent(
        event_id, delivery_id, message_id, kind, int(status.group()) if status else 0, _text(event.get("email"))
    )


def _kind(name: str, event: dict[str, Any]) -> Kind | None:
    if name == "delivered":
        return Kind.DELIVERED
    if name == "spamreport":
        return Kind.COMPLAINT
    if name == "bounce":  # `blocked` is about this mail or this hour, not about the address
        return Kind.HARD_BOUNCE if event.get("type") == "bounce" else Kind.SOFT_BOUNCE
    if name == "dropped":
        return _DROPPED.get(_text(event.get("reason")).lower(), Kind.SOFT_BOUNCE)
    return None


def _delivery_id(event: dict[str, Any]) -> str:
    """From the header that our mails have for SendGrid, or else from their Message-ID."""
    if re.fullmatch(_DELIVERY_ID, given := _text(event.get("delivery_id"))):
        return given
    named = re.match(rf"<({_DELIVERY_ID})@", _text(event.get("smtp-id")))
    return named.group(1) if named else ""


def _id(value: Any) -> str:
    """One that an index takes; empty for anything else."""
    text = _text(value)
    return text if text.isascii() and len(text) <= MAX_ID else ""


def _text(value: Any) -> str:
    """A text on one line; empty for anything else."""
    fits = isinstance(value, str) and len(value) <= 1000 and value.isprintable()
    return value if fits else ""
