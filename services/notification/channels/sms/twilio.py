"""The SMS channel: Twilio's REST API (Messages resource, 2010-04-01).

`WEFT_SMS_URL`: `https://<account sid>:<auth token>@api.twilio.com`. Another server that speaks the API may stand there,
as the local mesh's sink does. `WEFT_SMS_FROM` is a number or the SID of a messaging service (`MG…`).
"""

import asyncio
import base64
import json
import re
import time
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import aiohttp

from chassis.faults import catalogue, switches
from chassis.settings import SettingsError
from chassis.telemetry import logs
from chassis.values.plain_text import single_line
from services.notification.channels.outcome import Outcome, ProviderResponse
from services.notification.channels.sms import segments

log = logs.logger("sms")
MAX_SEGMENTS = 3
"""Of one message: each is charged."""
_TIMEOUT = aiohttp.ClientTimeout(total=12.0, connect=4.0)
_MAX_REPLY_BYTES = 16_384
OUTCOMES = {
    21211: Outcome.UNREACHABLE,  # no valid number
    21214: Outcome.UNREACHABLE,
    21217: Outcome.UNREACHABLE,
    21614: Outcome.UNREACHABLE,  # no mobile number
    30005: Outcome.UNREACHABLE,  # unknown to its carrier, as is said later
    30006: Outcome.UNREACHABLE,  # a landline
    21610: Outcome.OPTED_OUT,  # has answered STOP
}
"""Outcomes of Twilio's error codes that are about the recipient; others are about the message."""


class TextTooLong(Exception):
    """A text message would be sent in more than `MAX_SEGMENTS`."""


@dataclass(frozen=True)
class Text:
    """A text message to a number (E.164). Raises `TextTooLong`."""

    recipient: str = field(repr=False)
    body: str = field(repr=False)
    callback: str = ""
    """Where the provider says later what became of it; empty for nowhere."""

    def __post_init__(self) -> None:
        """Refuse what is too long to be paid for."""
        if (number := segments.count(self.body)) > MAX_SEGMENTS:
            raise TextTooLong(f"{number} segments")


@dataclass(frozen=True)
class Account:
    """Where messages are handed in, and as whom."""

    url: str
    host: str
    sid: str
    token: str = field(repr=False)


def parse_sms_url(url: str, setting: str = "WEFT_SMS_URL") -> Account:
    """Read a setting. Raises `SettingsError`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not (parts.hostname and parts.username and parts.password):
        raise SettingsError(f"{setting}: write https://<account sid>:<auth token>@api.twilio.com.")
    sid = unquote(parts.username)
    host = f"{parts.hostname}:{port}" if port else parts.hostname
    path = f"/2010-04-01/Accounts/{sid}/Messages.json"
    return Account(f"{parts.scheme}://{host}{path}", parts.hostname, sid, unquote(parts.password))


class Twilio:
    """Sends text messages by one account."""

    def __init__(self, account: Account, sender: str, setting: str = "WEFT_SMS_FROM") -> None:
        """Raises `SettingsError` for a `sender` that is no number and no messaging service."""
        if not re.fullmatch(r"\+[1-9][0-9]{6,14}|MG[0-9a-f]{32}", sender):
            raise SettingsError(
                f"{setting}: write the number that the provider has given you, as +…, or the SID of a messaging service."
            )
        self.name = f"twilio:{account.host}"
        self._account = account
        self._sender = {"MessagingServiceSid" if sender.startswith("MG") else "From": sender}
        self._session: aiohttp.ClientSession | None = None

    async def send(self, message: Text) -> ProviderResponse:
        """Send one message. Never raises for what the provider does: the response says it."""
        started = time.monotonic()
        outcome, code, text, available, submitted = await self._send(message)
        latency_ms = round((time.monotonic() - started) * 1000)
        return ProviderResponse(outcome, code, redact(text), latency_ms, available, submitted)

    async def run(self) -> None:
        """Hold connections open until cancelled."""
        try:
            await asyncio.Event().wait()
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _send(self, message: Text) -> tuple[Outcome, int, str, bool, bool]:
        form = {"To": message.recipient, "Body": message.body, **self._sender}
        if message.callback:
            form["StatusCallback"] = message.callback
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        credentials = base64.b64encode(f"{self._account.sid}:{self._account.token}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "Accept": "application/json"}
        if switches.on(catalogue.SMS_REFUSED):
            return Outcome.REFUSED, 0, catalogue.SMS_REFUSED, True, True
        try:
            async with self._session.post(
                self._account.url, data=form, headers=headers, allow_redirects=False
            ) as reply:
                return classify(reply.status, await reply.content.read(_MAX_REPLY_BYTES))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Outcome.DEFERRED, 0, f"{type(error).__name__} while connecting", False, False
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return Outcome.LOST, 0, f"{type(error).__name__} while sending", False, True


def classify(status: int, content: bytes) -> tuple[Outcome, int, str, bool, bool]:
    """The outcome, the code, the text, whether the provider is available, and whether it was given the message."""
    if 200 <= status < 300:
        return Outcome.ACCEPTED, status, "accepted", True, True
    code, text = _error(content)
    if status in (401, 403) or code == 20003:
        # Of the account and not of this message: it waits until the settings are right.
        log.error("sms_account_refused", status=status, code=code)
        return Outcome.DEFERRED, code or status, text, False, False
    if status == 429:
        return Outcome.DEFERRED, code or status, text, True, True
    if status >= 500:  # of these only its own 503 says that no message was created
        outcome = Outcome.DEFERRED if status == 503 and code else Outcome.LOST
        return outcome, code or status, text, False, True
    return OUTCOMES.get(code, Outcome.REFUSED), code or status, text, True, True


def _error(content: bytes) -> tuple[int, str]:
    """Twilio's error code and message; 0 where there is none."""
    try:
        found = json.loads(content)
        return int(found["code"]), str(found["message"])
    except (ValueError, KeyError, TypeError):
        return 0, "no error of Twilio's"


def redact(text: str) -> str:
    """A provider's response without numbers of people, on one line, up to 200 characters."""
    return re.sub(r"\+?[0-9][0-9 ()-]{5,}[0-9]", "<…>", single_line(text, 500))[:200]
