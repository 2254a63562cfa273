"""The e-mail channel: SMTP (RFC 5321) over connections that are used again.

`WEFT_SMTP_URL`: `smtp://[user:password@]host[:port][?starttls=offered|required|off]`, or `smtps://` for TLS from the
start.
"""

import asyncio
import contextlib
import re
import ssl
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from chassis.plain_text import single_line
from chassis.settings import SettingsError
from services.notification.channels.email.message import Mail
from services.notification.deliveries.domain import Answer, Outcome

TIMEOUT = 12.0
"""Seconds for one message, connecting included; a worker's lease holds two."""
IDLE = 20.0
"""Seconds after which an unused connection is closed; servers commonly close after 60 or more."""

_OURS = frozenset({421, 530, 534, 535, 538})
"""Answers that are about us and the connection, at whatever point they come: closing, or asking for another login."""

_STARTTLS: dict[str, bool | None] = {"offered": None, "required": True, "off": False}


@dataclass(frozen=True)
class Server:
    """Where and how to hand mail in. `starttls`: True requires it, None takes it when offered, False does without."""

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    tls: bool
    starttls: bool | None


def server_of(url: str) -> Server:
    """Read `WEFT_SMTP_URL`. Raises `SettingsError`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    wish = parse_qs(parts.query).get("starttls", ["offered"])[-1]
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or wish not in _STARTTLS:
        raise SettingsError(
            "WEFT_SMTP_URL: write smtp://[user:password@]host[:port][?starttls=offered|required|off], or smtps://."
        )
    tls = parts.scheme == "smtps"
    return Server(
        host=parts.hostname,
        port=port or (465 if tls else 587 if parts.username else 25),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=tls,
        starttls=False if tls else _STARTTLS[wish],
    )


class Mailer:
    """Sends mails to one server, over at most `connections` at once."""

    def __init__(
        self, server: Server, *, connections: int = 16, timeout: float = TIMEOUT, tls: ssl.SSLContext | None = None
    ) -> None:
        """`tls` replaces the system's idea of whom to trust."""
        self.name = f"smtp:{server.host}"
        self._server = server
        self._timeout = timeout
        self._tls = tls
        self._slots = asyncio.Semaphore(connections)
        self._idle: list[tuple[aiosmtplib.SMTP, float]] = []

    async def send(self, mail: Mail) -> Answer:
        """Hand one mail in. Never raises for what the server does; the answer tells whether it surely was not sent."""
        started = time.monotonic()
        attempt = _Attempt(mail)
        connection: aiosmtplib.SMTP | None = None
        try:
            async with self._slots, asyncio.timeout(self._timeout):
                connection = await self._begin(attempt)
                code, text = await attempt.finish(connection)
                self._idle.append((connection, time.monotonic()))
                outcome, serving, presented, connection = Outcome.ACCEPTED, True, True, None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            outcome, serving, code, text = attempt.read(error)
            presented = attempt.presented(code)
        finally:
            if connection is not None:
                connection.close()  # in an unknown state
        return Answer(outcome, code, redacted(text), round((time.monotonic() - started) * 1000), serving, presented)

    async def _begin(self, attempt: "_Attempt") -> aiosmtplib.SMTP:
        """Open the envelope on a connection that is there, or on a new one when the old turns out to be closed."""
        while self._idle:
            connection, _ = self._idle.pop()
            try:
                await attempt.open(connection)
            except BaseException as error:
                connection.close()
                gone = isinstance(error, aiosmtplib.SMTPServerDisconnected | ConnectionError)
                if not gone and getattr(error, "code", 0) != 421:  # closing, said at last
                    raise
            else:
                return connection
        connection = await self._connect()
        try:
            await attempt.open(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    async def _connect(self) -> aiosmtplib.SMTP:
        server = self._server
        connection = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            use_tls=server.tls,
            start_tls=server.starttls,
            timeout=self._timeout,
            tls_context=self._tls,
        )
        try:
            await connection.connect()
        except BaseException:
            connection.close()
            raise
        return connection

    async def keep(self) -> None:
        """Close connections that idle, until cancelled; then all."""
        try:
            while True:
                await asyncio.sleep(IDLE / 2)
                oldest = time.monotonic() - IDLE
                stale = [c for c, since in self._idle if since < oldest]
                self._idle = [(c, since) for c, since in self._idle if since >= oldest]
                for connection in stale:
                    await _quit(connection)
        finally:
            await self.close()

    async def close(self) -> None:
        """Take leave of the server."""
        idle, self._idle = self._idle, []
        for connection, _ in idle:
            await _quit(connection)


class _Attempt:
    """One mail through one SMTP transaction; knows how far it came."""

    def __init__(self, mail: Mail) -> None:
        self._mail = mail
        self._stage = "connecting"

    def presented(self, code: int) -> bool:
        """Whether the server was told of this mail before it failed with `code`."""
        return self._stage == "data" or (self._stage == "envelope" and code not in _OURS)

    async def open(self, connection: aiosmtplib.SMTP) -> None:
        self._stage = "envelope"
        await connection.mail(self._mail.sender)
        await connection.rcpt(self._mail.recipient)

    async def finish(self, connection: aiosmtplib.SMTP) -> tuple[int, str]:
        self._stage = "data"
        response = await connection.data(self._mail.content)
        return response.code, response.message

    def read(self, error: BaseException) -> tuple[Outcome, bool, int, str]:
        """What an error says about the mail: outcome, whether the server serves us, code, words.

        A 5xx to the envelope or the content is about this mail and final; one before that is about us. Silence after
        DATA leaves open whether the mail was taken.
        """
        if isinstance(error, aiosmtplib.SMTPResponseException) and 400 <= error.code < 600:
            serving = self._stage != "connecting" and error.code not in _OURS
            final = serving and error.code >= 500
            return Outcome.REFUSED if final else Outcome.DEFERRED, serving, error.code, error.message
        outcome = Outcome.LOST if self._stage == "data" else Outcome.DEFERRED
        return outcome, False, 0, f"{type(error).__name__} while {self._stage}"


async def _quit(connection: aiosmtplib.SMTP) -> None:
    with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
        await connection.quit(timeout=1.0)
    connection.close()


def redacted(text: str) -> str:
    """A server's answer without addresses, on one line, at most 200 characters; whatever bytes it sent."""
    return re.sub(r"<?[^\s<>@]+@[^\s<>@]+>?", "<…>", single_line(text, 500))[:200]
