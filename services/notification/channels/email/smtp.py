"""The e-mail channel: SMTP (RFC 5321) over pooled connections, which are kept.

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

from chassis.faults import catalogue, switches
from chassis.settings import SettingsError
from chassis.values.plain_text import single_line
from services.notification.channels.email.message import Mail
from services.notification.channels.email.session import Reply, Session
from services.notification.channels.outcome import Outcome, ProviderResponse

SEND_TIMEOUT_S = 12.0
"""For one message, connecting included; a job's lease is long enough for two."""
MAX_IDLE_S = 20.0
"""Unused connections are closed after this; servers commonly close them after 60 s or more."""
_QUIT_TIMEOUT_S = 1.0

_CONNECTION_CODES = frozenset({421, 530, 534, 535, 538})
"""Replies about the connection or the login and not about the message, at any stage."""

_NO_SUCH_RECIPIENT = re.compile(r"5\.1\.(?:1|2|3|6|10)\b")
"""Enhanced status codes (RFC 3463, RFC 7505) of an address that is none. A server that sends none has perhaps refused the mail."""

_STARTTLS: dict[str, bool | None] = {"offered": None, "required": True, "off": False}


@dataclass(frozen=True)
class Server:
    """The mail server. `starttls`: True requires it, None uses it when offered, False never uses it."""

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    tls: bool
    starttls: bool | None


def parse_smtp_url(url: str, setting: str = "WEFT_SMTP_URL") -> Server:
    """Read a setting. Raises `SettingsError`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    starttls = parse_qs(parts.query).get("starttls", ["offered"])[-1]
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or starttls not in _STARTTLS:
        raise SettingsError(
            f"{setting}: write smtp://[user:password@]host[:port][?starttls=offered|required|off], or smtps://."
        )
    tls = parts.scheme == "smtps"
    return Server(
        host=parts.hostname,
        port=port or (465 if tls else 587 if parts.username else 25),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=tls,
        starttls=False if tls else _STARTTLS[starttls],
    )


class Mailer:
    """Sends mails to one server, over up to `connections` at a time."""

    def __init__(
        self,
        server: Server,
        *,
        connections: int = 16,
        timeout: float = SEND_TIMEOUT_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`tls` replaces the system's default context."""
        self.name = f"smtp:{server.host}"
        self._server = server
        self._timeout = timeout
        self._tls = tls
        self._slots = asyncio.Semaphore(connections)
        self._idle: list[tuple[Session, float]] = []

    async def send(self, mail: Mail) -> ProviderResponse:
        """Send one mail. Never raises for what the server does: the response says it."""
        started = time.monotonic()
        attempt = _Attempt(mail)
        connection: Session | None = None
        try:
            async with self._slots, asyncio.timeout(self._timeout):
                connection = await self._begin(attempt)
                code, text = await attempt.finish(connection)
                self._idle.append((connection, time.monotonic()))
                outcome, available, submitted, connection = Outcome.ACCEPTED, True, True, None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            outcome, available, code, text = attempt.classify(error)
            submitted = attempt.submitted(code)
        finally:
            if connection is not None:
                connection.close()  # in an unknown state
        latency_ms = round((time.monotonic() - started) * 1000)
        return ProviderResponse(outcome, code, redact(text), latency_ms, available, submitted)

    async def _begin(self, attempt: "_Attempt") -> Session:
        """Open the envelope on an idle connection, or on a new one where those turn out to be closed."""
        while self._idle:
            connection, _ = self._idle.pop()
            try:
                await attempt.open(connection)
            except BaseException as error:
                connection.close()
                closed = isinstance(error, aiosmtplib.SMTPServerDisconnected | ConnectionError)
                if not closed and getattr(error, "code", 0) != 421:  # 421: the server is closing the connection
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

    async def _connect(self) -> Session:
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
            await _greet(connection)
            return Session(connection)
        except BaseException:
            connection.close()
            raise

    async def close_idle(self) -> None:
        """Close connections that have been idle for too long, until cancelled; then all."""
        try:
            while True:
                await asyncio.sleep(MAX_IDLE_S / 2)
                oldest = time.monotonic() - MAX_IDLE_S
                stale = [c for c, since in self._idle if since < oldest]
                self._idle = [(c, since) for c, since in self._idle if since >= oldest]
                for connection in stale:
                    await _quit(connection)
        finally:
            await self.close()

    async def close(self) -> None:
        """Close all idle connections with QUIT."""
        idle, self._idle = self._idle, []
        for connection, _ in idle:
            await _quit(connection)


class _Attempt:
    """One mail in one SMTP transaction, and the stage that it has reached."""

    def __init__(self, mail: Mail) -> None:
        self._mail = mail
        self._stage = "connecting"

    def submitted(self, code: int) -> bool:
        """Whether the server was given this mail before it failed with `code`."""
        return self._stage == "data" or (self._stage == "envelope" and code not in _CONNECTION_CODES)

    async def open(self, connection: Session) -> None:
        self._stage = "envelope"
        if switches.on(catalogue.SMTP_DEFERS):
            raise aiosmtplib.SMTPResponseException(451, catalogue.SMTP_DEFERS)
        await connection.open(self._mail)

    async def finish(self, connection: Session) -> Reply:
        self._stage = "data"
        return await connection.finish(self._mail.content)

    def classify(self, error: BaseException) -> tuple[Outcome, bool, int, str]:
        """The outcome, whether the server is available, the code, and the text.

        A 5xx to the envelope or the content is about this mail and final; one before that is about the connection. No
        response after DATA leaves open whether the mail was accepted.
        """
        if isinstance(error, aiosmtplib.SMTPResponseException) and 400 <= error.code < 600:
            available = self._stage != "connecting" and error.code not in _CONNECTION_CODES
            if not (available and error.code >= 500):
                return Outcome.DEFERRED, available, error.code, error.message
            gone = _NO_SUCH_RECIPIENT.match(error.message) is not None
            return Outcome.UNREACHABLE if gone else Outcome.REFUSED, True, error.code, error.message
        outcome = Outcome.LOST if self._stage == "data" else Outcome.DEFERRED
        return outcome, False, 0, f"{type(error).__name__} while {self._stage}"


async def _greet(connection: aiosmtplib.SMTP) -> None:
    """Say hello where the login has not, or not since TLS began."""
    if connection.is_ehlo_or_helo_needed:
        try:
            await connection.ehlo()
        except aiosmtplib.SMTPHeloError:
            if not connection.is_connected:
                raise
            await connection.helo()


async def _quit(connection: Session) -> None:
    with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
        async with asyncio.timeout(_QUIT_TIMEOUT_S):
            await connection.quit()


def redact(text: str) -> str:
    """A server's response without addresses, on one line, up to 200 characters, even with unprintable bytes in it."""
    return re.sub(r"<?[^\s<>@]+@[^\s<>@]+>?", "<…>", single_line(text, 500))[:200]
