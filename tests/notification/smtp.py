"""A real SMTP server for tests, that can be made to misbehave."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

HANG_UP = "hang up"
"""As a response to DATA: the server accepts the mail and closes the connection without a response."""


class Receiver:
    """What arrived, and what to respond: the next of the responses, `250` where there is none."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.secure: list[bool] = []
        self.users: list[str] = []
        self.recipient_responses: list[str | bytes] = []
        self.data_responses: list[str | bytes] = []
        self.connections: list[asyncio.Transport] = []
        self.closed = 0
        self.port = 0
        self.stalled: asyncio.Event | None = None
        self.stalled_for = ""
        self.waiting = 0
        self.pipelining = True

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [responses[0], *["250-PIPELINING"] * self.pipelining, *responses[1:]]

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> Any:
        if self.recipient_responses:
            return self.recipient_responses.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> Any:
        assert isinstance(envelope.content, bytes)
        if self.stalled is not None and self.stalled_for in ("", *envelope.rcpt_tos):
            self.waiting += 1
            await self.stalled.wait()
        self.raw.append(envelope.content)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        self.envelopes.append((envelope.mail_from or "", list(envelope.rcpt_tos)))
        self.secure.append(session.ssl is not None)
        response = self.data_responses.pop(0) if self.data_responses else "250 accepted"
        if response == HANG_UP:
            server.transport.abort()
            return "250 never received"
        return response

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        self.users.append(data.login.decode())
        return AuthResult(success=data.password == b"correct horse", handled=False)

    def hang_up(self) -> None:
        """Close every connection, as a server that restarts does."""
        for transport in self.connections:
            transport.abort()

    @property
    def ids(self) -> list[str]:
        """The Message-IDs, in the order of arrival."""
        return [str(mail["Message-ID"]) for mail in self.mails]

    def text(self, index: int = -1) -> str:
        """The text part of a mail."""
        body = self.mails[index].get_body(("plain",))
        assert body is not None
        return str(body.get_content()).replace("\r\n", "\n")


class _Counted(SMTP):
    receiver: Receiver

    async def push(self, status: Any) -> None:
        if not isinstance(status, bytes):
            return await super().push(status)
        self._writer.write(status + b"\r\n")  # unchanged, even where it is no text
        return await self._writer.drain()

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if not isinstance(transport, asyncio.Transport) or transport.get_extra_info("ssl_object") is None:
            self.receiver.connections.append(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.receiver.closed += 1
        super().connection_lost(error)


@asynccontextmanager
async def receiving(
    *, tls: ssl.SSLContext | None = None, login: bool = False, receiver: Receiver | None = None, port: int = 0
) -> AsyncIterator[Receiver]:
    """Serve SMTP on 127.0.0.1; with STARTTLS where `tls` is given, requiring a login where `login` is set."""
    receiver = receiver or Receiver()

    def made() -> SMTP:
        served = _Counted(
            receiver,
            hostname="mail.test",
            tls_context=tls,
            auth_required=login,
            auth_require_tls=False,
            authenticator=receiver.authenticate if login else None,
            loop=asyncio.get_running_loop(),
        )
        served.receiver = receiver
        return served

    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", port)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        receiver.hang_up()
        await server.wait_closed()


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait for a condition, looking often. Raises `TimeoutError`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is in another process or in the database
            await asyncio.sleep(0.01)
