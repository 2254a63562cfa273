"""A mail server that keeps what it gets, as `.eml` files: `python -m deploy.local.components.mail_sink PORT FOLDER [HOST]`.

It takes mail from whoever knows the password in `WEFT_MAIL_PASSWORD`, so from no other user and no web page. Of mails to
`delivered@…`, `bounce@…`, `blocked@…` and `complaint@…` (or `bounce+anything@…`) it says so later, as SendGrid does, signed
with `WEFT_EVENT_KEY`, where `WEFT_EDGE_URL` is set; of others nothing.

SMTP (RFC 5321) with PIPELINING (RFC 2920), AUTH, SIZE, 8BITMIME and SMTPUTF8, by a protocol of its own: it shares the cores with
what is measured.
"""

import asyncio
import base64
import binascii
import hmac
import itertools
import os
import re
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import uvloop

from deploy.local.components import callbacks
from deploy.local.demo import mailbox
from deploy.local.state.secret import secret

_TOLD: dict[str, list[dict[str, Any]]] = {
    "delivered": [{"event": "processed"}, {"event": "delivered", "response": "250 OK"}],
    "bounce": [{"event": "bounce", "type": "bounce", "reason": "550 5.1.1 no such user", "status": "5.1.1"}],
    "blocked": [{"event": "bounce", "type": "blocked", "reason": "550 5.7.1 not now", "status": "5.7.1"}],
    "complaint": [{"event": "delivered", "response": "250 OK"}, {"event": "spamreport"}],
}
_ASKING = re.compile(r"(delivered|bounce|blocked|complaint)[+@]")
MAX_MAILS = 20_000
"""Mails that are kept; the oldest are removed first."""
MAX_MAIL_BYTES = 16 << 20
MAX_RECIPIENTS = 100
MAX_LINE_BYTES = 4096
MAX_REFUSALS = 10
"""Commands in a row that are refused before the connection is closed."""
IDLE_TIMEOUT_S = 300.0
_CAPABILITIES = (
    "250-weft.local\r\n250-PIPELINING\r\n"
    f"250-SIZE {MAX_MAIL_BYTES}\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN LOGIN"
)
_PATH = re.compile(r"(?:FROM|TO):\s*<([^<>\s]*)>", re.IGNORECASE)
_END = b"\r\n.\r\n"


class Folder:
    """Keeps each mail as one file, under a name that sorts by time, with the envelope's addresses on top."""

    def __init__(self, folder: Path, edge_url: str = "", event_key: str = "") -> None:
        self._folder = f"{folder}/"
        self._callbacks = callbacks.Callbacks(edge_url if event_key else "")
        self._event_key = event_key
        self._count = itertools.count()
        self._kept = deque(str(file) for file in mailbox.stored(folder))

    def keep(self, sender: str, recipients: list[str], content: bytes) -> None:
        """Write a mail, remove the oldest, and say later what is asked for. Raises `OSError`."""
        name = f"{time.time_ns() // 1_000_000:013d}-{os.getpid()}-{next(self._count):06d}.eml"
        top = f"Return-Path: <{sender}>\r\nX-Envelope-To: {', '.join(recipients)}\r\n".encode()
        draft, whole = f"{self._folder}.{name}", self._folder + name
        with open(draft, "wb", buffering=0) as file:
            file.write(top + content)
        os.rename(draft, whole)
        self._kept.append(whole)
        while len(self._kept) > MAX_MAILS:
            Path(self._kept.popleft()).unlink(missing_ok=True)
        if self._event_key and (events := events_of(content, recipients, name)):
            headers, body = callbacks.sendgrid(events, self._event_key)
            self._callbacks.post(callbacks.SENDGRID_PATH, headers, [body])


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, folder: Folder, password: str) -> None:
        self._folder = folder
        self._password = password.encode()
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle
        self._commands: dict[str, Callable[[str], str]] = {
            "HELO": lambda _: self._reset("250 weft.local"),
            "EHLO": lambda _: self._reset(_CAPABILITIES),
            "AUTH": self._begin_login,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": lambda _: self._reset("250 OK"),
            "NOOP": lambda _: "250 OK",
            "VRFY": lambda _: "252 Send some mail, and see",
            "QUIT": self._quit,
        }
        self._buffer = bytearray()
        self._login: list[bytes] | None = None
        """While a login goes on: what the client has answered."""
        self._known = self._in_data = False
        self._refusals = 0
        self._searched = 0
        """Bytes of the content in which its end was not found."""
        self._sender: str | None = None
        self._recipients: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by type
        self._timer = asyncio.get_running_loop().call_later(IDLE_TIMEOUT_S, transport.close)
        self._transport.write(b"220 weft.local Weft mail sink\r\n")

    def pause_writing(self) -> None:
        """Read no more from a client that reads nothing."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._transport.resume_reading()

    def connection_lost(self, _: Exception | None) -> None:
        """The client has gone."""
        self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer all commands that have come, together."""
        self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(IDLE_TIMEOUT_S, self._transport.close)
        self._buffer += data
        replies: list[str] = []
        while not self._transport.is_closing():
            reply = self._content() if self._in_data else self._line()
            if reply is None:
                break
            replies.append(reply)
            self._refusals = self._refusals + 1 if reply[0] == "5" else 0
            if self._refusals >= MAX_REFUSALS or reply[:3] in ("221", "421"):
                self._write(replies)
                self._transport.close()
                return
        self._write(replies)

    def _write(self, replies: list[str]) -> None:
        if replies:
            self._transport.write(("\r\n".join(replies) + "\r\n").encode())

    def _line(self) -> str | None:
        """The reply to the next line; None where it is not whole."""
        end = self._buffer.find(b"\n", 0, MAX_LINE_BYTES)
        if end < 0:
            return "421 The line is too long" if len(self._buffer) >= MAX_LINE_BYTES else None
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        if self._login is not None:
            return self._go_on(line)
        verb, _, rest = line.decode(errors="replace").partition(" ")
        command = self._commands.get(verb.upper())
        return command(rest) if command else "500 Unknown command"

    def _content(self) -> str | None:
        """The reply to the content of a mail; None where it is not whole. Only CR LF . CR LF ends it (CVE-2023-51764)."""
        if self._buffer.startswith(b".\r\n"):
            end = -2
        elif (end := self._buffer.find(_END, max(0, self._searched - len(_END) + 1))) < 0:
            self._searched = len(self._buffer)
            return "421 The mail is too large" if self._searched > MAX_MAIL_BYTES else None
        content = bytes(self._buffer[: end + 2])
        del self._buffer[: end + len(_END)]
        if b"\r\n." in content or content.startswith(b"."):
            content = (b"\r\n" + content).replace(b"\r\n.", b"\r\n")[2:]
        assert self._sender is not None
        try:
            self._folder.keep(self._sender, self._recipients, content)
        except OSError as error:
            print(f"a mail could not be kept: {error.strerror}", flush=True)
            return self._reset("452 Insufficient system storage")
        return self._reset("250 OK")

    def _reset(self, reply: str) -> str:
        self._in_data, self._searched, self._sender, self._recipients = False, 0, None, []
        return reply

    def _begin_login(self, rest: str) -> str:
        mechanism, _, initial = rest.partition(" ")
        if self._known:
            return "503 Already logged in"
        if mechanism.upper() not in ("PLAIN", "LOGIN"):
            return "504 Unknown mechanism"
        self._login = [mechanism.upper().encode()]
        if initial:
            return self._go_on(initial.encode())
        return "334 VXNlcm5hbWU6" if mechanism.upper() == "LOGIN" else "334 "

    def _go_on(self, line: bytes) -> str:
        """The next answer of a login (RFC 4616, and LOGIN of old: the name, then the password)."""
        answers, self._login = self._login, None
        assert answers is not None
        try:
            answer = base64.b64decode(line, validate=True)
        except binascii.Error:
            return "501 The login is not base64"
        if answers == [b"LOGIN"]:
            self._login = [*answers, answer]
            return "334 UGFzc3dvcmQ6"
        given = answer if answers[0] == b"LOGIN" else answer.rpartition(b"\0")[2]
        self._known = hmac.compare_digest(given, self._password)
        return "235 Welcome" if self._known else "535 The password is wrong"

    def _mail(self, rest: str) -> str:
        if not self._known:
            return "530 Log in first"
        if (found := _PATH.match(rest)) is None:
            return "501 Write MAIL FROM:<address>"
        self._reset("")
        self._sender = found[1]
        return "250 OK"

    def _rcpt(self, rest: str) -> str:
        if self._sender is None:
            return "503 MAIL first"
        if (found := _PATH.match(rest)) is None or not found[1]:
            return "501 Write RCPT TO:<address>"
        if len(self._recipients) >= MAX_RECIPIENTS:
            return "452 Too many recipients"
        self._recipients.append(found[1])
        return "250 OK"

    def _data(self, _: str) -> str:
        if not self._recipients:
            return "503 RCPT first"
        self._in_data = True
        return "354 End with a line that is one dot"

    def _quit(self, _: str) -> str:
        return "221 Bye"


def events_of(content: bytes, recipients: Sequence[str], name: str) -> list[dict[str, Any]]:
    """What SendGrid would say of a mail; nothing where no recipient asks for it. `name` is the mail's."""
    asking = [(n, each, asked[1]) for n, each in enumerate(recipients) if (asked := _ASKING.match(each))]
    if not asking:
        return []
    told: list[dict[str, Any]] = []
    head = content.partition(b"\r\n\r\n")[0].decode(errors="replace")
    named = re.search(r"^message-id:\s*(<[^>\s]+>)", head, re.IGNORECASE | re.MULTILINE)
    for number, recipient, kind_of in asking:
        about = {"email": recipient, "timestamp": int(time.time()), "smtp-id": named.group(1) if named else ""}
        about["sg_message_id"] = f"{name}.{number}"
        told += [{**about, **kind, "sg_event_id": f"{name}.{number}.{kind['event']}"} for kind in _TOLD[kind_of]]
    return told


async def serve(port: int, folder: Path, password: str, host: str = "127.0.0.1") -> None:
    """Take mail until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    kept = Folder(folder, os.environ.get("WEFT_EDGE_URL", ""), secret("WEFT_EVENT_KEY", ""))
    server = await loop.create_server(lambda: Connection(kept, password), host, port)
    print(f"takes mail on {host}:{port}", flush=True)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    os.umask(0o077)
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2]), secret("WEFT_MAIL_PASSWORD"), *sys.argv[3:4]))
