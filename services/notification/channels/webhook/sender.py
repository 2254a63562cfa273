"""Posts webhooks. The address that was checked is the one that is connected to: the check is made where the socket is made.

Redirects are not followed, cookies not kept, proxies of the environment not used, and of an answer only the beginning is read.
"""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.client_proto import ResponseHandler
from prometheus_client import Counter
from yarl import URL

from chassis.faults import catalogue, switches
from services.notification.channels.webhook.addresses import AddressRefused, Guard
from services.notification.channels.webhook.answer import Answer

MAX_ANSWER_BYTES = 16_384
"""Read of an answer; what is longer costs the connection."""
MAX_KEPT_CHARACTERS = 500
_BODY_TIMEOUT_S = 2.0
"""For the body of an answer whose status has arrived."""
_KEEP_ALIVE_S = 30.0
MAX_INTERIM = 8
"""Interim answers before the one that counts."""
_RECEIVED_AT_ONCE = 16_384
"""Bytes that the system keeps for us of a connection: what a receiver sends without end is parsed in pieces of this size."""
REFUSED = Counter("weft_webhook_addresses_refused", "Connections that were not made: the address is not public.")


class Sender:
    """Posts to any address that the guard allows, over pooled connections."""

    def __init__(self, guard: Guard, names: AbstractResolver, timeout_s: float) -> None:
        """`timeout_s`: from the start of a request to the status of its answer, looking up the name included."""
        self._guard = guard
        self._names = names
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post once. Never raises for what the receiver does: the answer says it."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout_s):
                if switches.on(catalogue.WEBHOOKS_UNANSWERED):
                    raise ConnectionRefusedError
                reply = await self._connected().post(
                    URL(url, encoded=True), data=body, headers=dict(headers), allow_redirects=False
                )
        except Exception as error:  # whatever a receiver makes the library raise is its answer
            return Answer(0, _failure(error), _since(started))
        latency_ms = _since(started)
        failure = "" if 200 <= reply.status < 300 else "REDIRECT" if 300 <= reply.status < 400 else "STATUS"
        wait = parse_retry_after(reply.headers.get("Retry-After", ""), datetime.now(UTC))
        return Answer(reply.status, failure, latency_ms, await _read(reply), wait)

    async def run(self) -> None:
        """Hold connections open until cancelled."""
        try:
            await asyncio.Event().wait()
        finally:
            if self._session is not None:
                await self._session.close()
            await self._names.close()

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=self._names,
                use_dns_cache=False,
                socket_factory=self._socket,
                limit=0,  # each endpoint has its own
                keepalive_timeout=_KEEP_ALIVE_S,
            )
            # No parameter for it: the protocol of a connection, of which each gets one of its own.
            connector._factory = partial(_Protocol, loop=asyncio.get_running_loop())  # type: ignore[assignment] # a subclass
            self._session = aiohttp.ClientSession(
                connector=connector,
                connector_owner=True,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                headers={"User-Agent": "Weft-Webhooks/1", "Accept": "*/*", "Accept-Encoding": "identity"},
            )
        return self._session

    def _socket(self, info: Any) -> socket.socket:
        """The socket for a connection, once its address is known to be allowed. Raises `AddressRefused`."""
        family, kind, proto, _, address = info
        if not self._guard.allows(address[0], address[1]):
            REFUSED.inc()
            raise AddressRefused
        made = socket.socket(family, kind, proto)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVED_AT_ONCE)
        return made


class _Protocol(ResponseHandler):
    """Gives up a connection on which no end of interim answers comes (100 to 199), or answers to what was not asked.

    Each is parsed as a message of its own; the event loop would do nothing else, and not even notice a time-out.
    """

    _interim = 0

    def feed_data(self, data: Any, size: int = 0) -> None:
        self._interim = self._interim + 1 if 100 <= data[0].code < 200 else 0
        if self._interim > MAX_INTERIM or len(self) > MAX_INTERIM:
            self.set_exception(aiohttp.ServerDisconnectedError())
            if self.transport is not None:
                self.transport.abort()
        else:
            super().feed_data(data, size)


async def _read(reply: aiohttp.ClientResponse) -> str:
    """The beginning of an answer's body; the connection is used again only if that was all."""
    found = bytearray()
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            while len(found) < MAX_ANSWER_BYTES:
                part = await reply.content.read(MAX_ANSWER_BYTES - len(found))
                if not part:
                    break
                found += part
    except Exception:  # the status has been given; a body that is garbage changes nothing
        reply.close()
    if len(found) >= MAX_ANSWER_BYTES:
        reply.close()
    else:
        reply.release()
    return printable(bytes(found[: MAX_KEPT_CHARACTERS * 4]))


def printable(content: bytes) -> str:
    """The beginning of what a receiver answered, as text that can be stored and shown."""
    text = content.decode(errors="replace")
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)[
        :MAX_KEPT_CHARACTERS
    ]


def parse_retry_after(value: str, now: datetime) -> float | None:
    """Seconds of a `Retry-After` (RFC 9110): a number, or a time. None for anything else."""
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
        return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _failure(error: Exception) -> str:
    """The name of `WebhookFailure` for what a request raised."""
    cause = getattr(error, "os_error", None)
    if isinstance(cause, AddressRefused):
        return "ADDRESS_REFUSED"
    if isinstance(error, TimeoutError):
        return "TIMEOUT"
    if isinstance(error, aiohttp.ClientConnectorDNSError | aiohttp.InvalidURL):
        return "NAME"
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "TLS"
    if isinstance(error, aiohttp.ServerConnectionError | aiohttp.ClientOSError | OSError):
        return "CONNECTION"
    return "PROTOCOL"


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
