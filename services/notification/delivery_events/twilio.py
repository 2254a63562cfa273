"""Status callbacks of Twilio, or of another provider that speaks its API.

Each is a form. The signature is HMAC-SHA1, by the account's token, of the URL and of all names and values of the form in the
order of their names (https://www.twilio.com/docs/usage/security). It has no time: a status is known by its message.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

from services.notification.channels.channel import Channel
from services.notification.channels.outcome import Outcome
from services.notification.channels.sms.twilio import OUTCOMES, Account
from services.notification.delivery_events.domain import DeliveryEvent, EventMalformed, EventSignatureInvalid, Kind

_MAX_FIELDS, _MAX_FORM_BYTES = 64, 8192
"""Of a form: nobody has signed it yet, and decoding a megabyte takes a second of the event loop."""
_SID = re.compile(r"(SM|MM)[0-9a-f]{32}")
_STATUSES = frozenset(
    [
        "accepted",
        "scheduled",
        "queued",
        "sending",
        "sent",
        "delivered",
        "read",
        "undelivered",
        "failed",
        "canceled",
        "receiving",
        "received",
    ]
)
_ARRIVED = frozenset({"delivered", "read"})
_BOUNCED = frozenset({"undelivered", "failed"})
_KINDS = {Outcome.UNREACHABLE: Kind.HARD_BOUNCE, Outcome.OPTED_OUT: Kind.OPTED_OUT}


class TwilioCallbacks:
    """Reads callbacks of our accounts."""

    channel = Channel.SMS

    def __init__(self, accounts: Sequence[Account], url: str) -> None:
        """`url` is ours, as in `callback_url`."""
        self._tokens = {account.sid: account.token.encode() for account in accounts}
        self._url = url

    def read(self, body: bytes, header: Callable[[str], str], delivery_id: str, _: float) -> Sequence[DeliveryEvent]:
        """The event of a callback; none where its status is no end. Raises `EventSignatureInvalid` and `EventMalformed`."""
        form = _parse(body)
        token = self._tokens.get(form.get("AccountSid", ""))
        given = header("x-twilio-signature").encode()
        url = callback_url(self._url, delivery_id) if delivery_id else self._url
        if token is None or not any(hmac.compare_digest(sign(each, form, token), given) for each in _spellings(url)):
            raise EventSignatureInvalid
        sid, status, code = form.get("MessageSid", ""), form.get("MessageStatus", ""), form.get("ErrorCode", "")
        if not (_SID.fullmatch(sid) and status in _STATUSES and re.fullmatch(r"[0-9]{0,9}", code)):
            raise EventMalformed
        if status not in _ARRIVED | _BOUNCED:
            return []
        number = int(code or 0)
        kind = (
            Kind.DELIVERED
            if status in _ARRIVED
            else _KINDS.get(OUTCOMES.get(number, Outcome.REFUSED), Kind.SOFT_BOUNCE)
        )
        to = form.get("To", "")
        address = to if re.fullmatch(r"\+[1-9][0-9]{6,14}", to) else ""
        return [DeliveryEvent(f"{sid}/{status}", delivery_id, sid, kind, number, address)]


def callback_url(url: str, delivery_id: str) -> str:
    """Where the provider calls back about a delivery: `url` is that of the RPC."""
    return f"{url}?delivery_id={delivery_id}"


def sign(url: str, form: Mapping[str, str], token: bytes) -> bytes:
    """The signature of a callback, base64."""
    signed = url + "".join(f"{name}{form[name]}" for name in sorted(form))
    return base64.b64encode(hmac.new(token, signed.encode(), hashlib.sha1).digest())


def _parse(body: bytes) -> Mapping[str, str]:
    """Raises `EventSignatureInvalid` for what Twilio never sends: no form, a large one, or a name twice, of which only one would be read."""
    if len(body) > _MAX_FORM_BYTES:
        raise EventSignatureInvalid
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        raise EventSignatureInvalid from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise EventSignatureInvalid
    return form


def _spellings(url: str) -> Sequence[str]:
    """As it is, and with the usual port: Twilio signs either."""
    parts = urlsplit(url)
    if parts.port is not None:
        return [url]
    port = 443 if parts.scheme == "https" else 80
    return [url, parts._replace(netloc=f"{parts.netloc}:{port}").geturl()]
