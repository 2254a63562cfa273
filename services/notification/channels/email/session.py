"""Mails over one SMTP connection (RFC 5321), each in two writes where the server offers PIPELINING (RFC 2920).

aiosmtplib opens the connection: greeting, TLS, login. It sends a command at a time and looks at every byte of a mail; what follows
for each mail is here.
"""

import asyncio
import re
from collections import deque
from typing import NamedTuple, cast

from aiosmtplib import SMTP, SMTPResponseException, SMTPServerDisconnected

from services.notification.channels.email.message import Mail

_MAX_REPLY_BYTES = 32_768
_CONTROLS = re.compile(rb"[\x00-\x1f\x7f]")
_LINE_ENDS = re.compile(rb"\r\n|\n|\r")


class Reply(NamedTuple):
    """A server's reply; `text` may have several lines, and surrogates for bytes that are no UTF-8."""

    code: int
    text: str


class Session(asyncio.Protocol):
    """One connection, used by one mail at a time. Every method may raise `SMTPServerDisconnected`."""

    def __init__(self, opened: SMTP) -> None:
        """Takes over a connection that aiosmtplib has opened."""
        self._pipelining = opened.supports_extension("pipelining")
        self._buffer = b""
        self._text: list[bytes] = []
        """Of the reply whose last line has not come."""
        self._replies: deque[Reply] = deque()
        self._awaited = 0
        self._arrived: asyncio.Future[None] | None = None
        self._lost = False
        if opened.transport is None:
            raise SMTPServerDisconnected("Connection lost")
        self._transport = cast("asyncio.Transport", opened.transport)
        self._transport.set_protocol(self)

    async def open(self, mail: Mail) -> None:
        """The envelope, until the server waits for the content. Raises `SMTPResponseException` for a refusal.

        After a refusal the connection is of no more use: a server may wait for content all the same.
        """
        commands = [b"MAIL FROM:<%b>", b"RCPT TO:<%b>", b"DATA"]
        commands[0] %= _checked(mail.sender)
        commands[1] %= _checked(mail.recipient)
        groups = [commands] if self._pipelining else [[command] for command in commands]
        wanted = iter((250, 250, 354))
        for group in groups:
            for reply, code in zip(await self._ask(b"\r\n".join(group) + b"\r\n", len(group)), wanted, strict=False):
                if reply.code != code and not (code == 250 and reply.code == 251):
                    raise SMTPResponseException(*reply)

    async def finish(self, content: bytes) -> Reply:
        """The content. Raises `SMTPResponseException` for a refusal."""
        (reply,) = await self._ask(_transparent(content), 1)
        if reply.code != 250:
            raise SMTPResponseException(*reply)
        return reply

    async def quit(self) -> None:
        """Say goodbye, and close."""
        try:
            await self._ask(b"QUIT\r\n", 1)
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection, in whatever state."""
        self._transport.close()

    async def _ask(self, data: bytes, replies: int) -> list[Reply]:
        if self._lost or self._transport.is_closing():
            raise SMTPServerDisconnected("Connection lost")
        self._awaited = replies
        self._arrived = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        try:
            await self._arrived
        finally:
            self._awaited, self._arrived = 0, None
        return [self._replies.popleft() for _ in range(replies)]

    def data_received(self, data: bytes) -> None:
        """Replies, or what nobody has asked for: then the server is about to close."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            if not line[:3].isdigit():
                return self._fail(SMTPResponseException(-1, "Malformed reply"))
            self._text.append(line[4:].strip())
            if line[3:4] != b"-":
                text, self._text = b"\n".join(self._text), []
                self._replies.append(Reply(int(line[:3]), text.decode("utf-8", "surrogateescape")))
        if len(self._buffer) + sum(map(len, self._text)) > _MAX_REPLY_BYTES:
            return self._fail(SMTPResponseException(-1, "Response too long"))
        if self._arrived is not None and len(self._replies) >= self._awaited and not self._arrived.done():
            self._arrived.set_result(None)
        if len(self._replies) > self._awaited:
            self._fail(SMTPServerDisconnected("Replies to nothing"))
        return None

    def connection_lost(self, error: Exception | None) -> None:
        """The server has gone; replies that came before are not lost."""
        self._fail(SMTPServerDisconnected(f"Connection lost: {type(error).__name__}" if error else "Connection lost"))

    def _fail(self, error: Exception) -> None:
        self._lost = True
        self._transport.close()
        if self._arrived is not None and not self._arrived.done():
            refusal = next((reply for reply in self._replies if reply.code >= 400), None)
            self._arrived.set_exception(SMTPResponseException(*refusal) if refusal else error)


def _checked(address: str) -> bytes:
    """An address in a command. Raises `ValueError` for one that could be another command."""
    written = address.encode("ascii")
    if _CONTROLS.search(written) or b">" in written:
        raise ValueError("an address in a command holds a control character or a bracket")
    return written


def _transparent(content: bytes) -> bytes:
    """The content with every line ended by CR LF, dots at their beginnings doubled, and its end (4.5.2)."""
    ends = content.count(b"\r\n")
    if content.count(b"\n") != ends or content.count(b"\r") != ends:
        content = _LINE_ENDS.sub(b"\r\n", content)
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    if content.startswith(b"."):
        content = b"." + content
    return content.replace(b"\r\n.", b"\r\n..") + b".\r\n"
