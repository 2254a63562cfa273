"""Sends push messages: encrypted for each device (RFC 8291), signed with our key (VAPID, RFC 8292).

Addresses are the users' to choose, so connections are made as those of webhooks are, and each host has a breaker of its own:
one that hangs holds up no other.
"""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import http_ece  # type: ignore[import-untyped] # has no types
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02  # type: ignore[import-untyped] # has no types
from weft_client.calls.breaker import Breaker, BreakerOpen
from yarl import URL

from chassis.clock import Clock
from chassis.settings import SettingsError
from services.notification.channels.outcome import Outcome, ProviderResponse
from services.notification.channels.push.subscriptions import Device, decode, encode
from services.notification.channels.webhook.answer import Answer
from services.notification.channels.webhook.sender import Sender

MAX_PAYLOAD_BYTES = 3_993
"""What push services take is 4,096 bytes, of which encryption needs 103."""
_VALID_S = 12 * 3600
"""Of a signature; a push service refuses one of more than a day."""
_MAX_HOSTS = 1_000
"""Whose breakers are remembered."""
_RANK = (Outcome.ACCEPTED, Outcome.LOST, Outcome.DEFERRED, Outcome.REFUSED, Outcome.UNREACHABLE)
"""What came of a message is the best that came of it on one of the devices."""


@dataclass(frozen=True)
class Push:
    """A message to all devices of a person, at least one. `ttl_s`: for how long the push service keeps it."""

    recipient: str
    message_id: str
    payload: bytes = field(repr=False)
    ttl_s: int
    devices: Sequence[Device] = field(repr=False)


class WebPush:
    """Sends push messages by one key."""

    name = "webpush"

    def __init__(
        self, sender: Sender, key: str, contact: str, delete: Callable[[Device], Awaitable[None]], clock: Clock
    ) -> None:
        """`contact` is the address that push services write to; `delete` removes a device that is gone.

        Raises `SettingsError` for what is no key.
        """
        try:
            self._vapid = Vapid02.from_string(key)
        except (ValueError, TypeError):
            raise SettingsError(
                "WEFT_VAPID_KEY: write a private key of the curve P-256, 32 bytes in base64url."
            ) from None
        point = self._vapid.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public_key = encode(point)
        """What a page subscribes with: a point of P-256 in base64url."""
        self._sender = sender
        self._contact = contact
        self._delete = delete
        self._clock = clock
        self._breakers: OrderedDict[str, Breaker] = OrderedDict()

    async def send(self, message: Push) -> ProviderResponse:
        """Send to each device, all at once: it is sent where one of them has taken it."""
        found = await asyncio.gather(*(self._send(message, device) for device in message.devices))
        best = min(found, key=lambda each: _RANK.index(each.outcome))
        text = ", ".join(each.text for each in found)
        return ProviderResponse(best.outcome, best.code, text, max(each.latency_ms for each in found))

    async def _send(self, message: Push, device: Device) -> ProviderResponse:
        url = URL(device.subscription.endpoint, encoded=True)
        try:
            body, headers = self._encrypt(message.payload, device), self._headers(message, url)
        except Exception as error:  # of this device: the others get it
            return ProviderResponse(Outcome.REFUSED, 0, type(error).__name__, 0)
        breaker = self._breaker(url.authority)
        try:
            breaker.acquire()
        except BreakerOpen:
            return ProviderResponse(Outcome.DEFERRED, 0, "circuit breaker open", 0)
        try:
            answer = await self._sender.post(str(url), headers, body)
        except BaseException:
            breaker.cancelled()
            raise
        if answer.unavailable and answer.status != 429:
            breaker.failed()
        else:
            breaker.succeeded()
        response = classify(answer)
        if response.outcome is Outcome.UNREACHABLE:
            await self._delete(device)
        return response

    def _encrypt(self, payload: bytes, device: Device) -> bytes:
        keys = device.subscription
        return bytes(
            http_ece.encrypt(
                payload,
                salt=os.urandom(16),
                private_key=ec.generate_private_key(ec.SECP256R1()),
                dh=decode(keys.p256dh),
                auth_secret=decode(keys.auth),
                version="aes128gcm",
            )
        )

    def _headers(self, message: Push, url: URL) -> dict[str, str]:
        expires = int(self._clock.now().timestamp()) + _VALID_S
        signed = self._vapid.sign({"sub": f"mailto:{self._contact}", "aud": str(url.origin()), "exp": expires})
        return {
            **signed,
            "TTL": str(message.ttl_s),
            "Topic": message.message_id,  # one that is sent twice replaces itself
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
        }

    def _breaker(self, host: str) -> Breaker:
        found = self._breakers.pop(host, None) or Breaker("push_service", failures=5, max_pause_s=60.0)
        self._breakers[host] = found
        if len(self._breakers) > _MAX_HOSTS:
            self._breakers.popitem(last=False)
        return found


def classify(answer: Answer) -> ProviderResponse:
    """What the answer of a push service means. Its text is not kept: whoever has registered a device has written it."""
    text = str(answer.status) if answer.status else answer.failure
    if answer.succeeded:
        outcome = Outcome.ACCEPTED
    elif answer.status in (404, 410):
        outcome = Outcome.UNREACHABLE
    elif answer.failure == "TIMEOUT" or (answer.failure == "PROTOCOL" and not answer.status):
        outcome = Outcome.LOST
    elif answer.unavailable and answer.failure != "ADDRESS_REFUSED":
        outcome = Outcome.DEFERRED
    else:
        outcome = Outcome.REFUSED
    return ProviderResponse(outcome, answer.status, text, answer.latency_ms)
