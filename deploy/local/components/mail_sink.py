"""A mail server that keeps what it gets, as `.eml` files: `python -m deploy.local.components.mail_sink PORT FOLDER [HOST]`.

It takes mail from whoever knows the password in `WEFT_MAIL_PASSWORD`, so from no other user and no web page. Of mails to
`delivered@…`, `bounce@…`, `blocked@…` and `complaint@…` (or `bounce+anything@…`) it says so later, as SendGrid does, signed
with `WEFT_EVENT_KEY`, where `WEFT_EDGE_URL` is set; of others nothing.
"""

import asyncio
import hmac
import itertools
import os
import re
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from deploy.local.components import callbacks
from deploy.local.demo import mailbox

_TOLD: dict[str, list[dict[str, Any]]] = {
    "delivered": [{"event": "processed"}, {"event": "delivered", "response": "250 OK"}],
    "bounce": [{"event": "bounce", "type": "bounce", "reason": "550 5.1.1 no such user", "status": "5.1.1"}],
    "blocked": [{"event": "bounce", "type": "blocked", "reason": "550 5.7.1 not now", "status": "5.7.1"}],
    "complaint": [{"event": "delivered", "response": "250 OK"}, {"event": "spamreport"}],
}
MAX_MAILS = 20_000
"""Mails that are kept; the oldest are removed first."""


class Sink:
    """Writes each mail as one file, under a name that sorts by time, with the envelope's addresses on top."""

    def __init__(self, folder: Path, edge_url: str = "", event_key: str = "") -> None:
        self._folder = folder
        self._callbacks = callbacks.Callbacks(edge_url if event_key else "")
        self._event_key = event_key
        self._count = itertools.count()

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
        """Acknowledge the mail once it is a file."""
        if not isinstance(envelope.content, bytes):
            return "500 No content"
        number = next(self._count)
        name = f"{time.time_ns() // 1_000_000:013d}-{os.getpid()}-{number:06d}.eml"
        recipients = ", ".join(envelope.rcpt_tos)
        top = f"Return-Path: <{envelope.mail_from}>\r\nX-Envelope-To: {recipients}\r\n".encode()
        draft = self._folder / f".{name}"
        try:
            draft.write_bytes(top + envelope.content)
            draft.replace(self._folder / name)
        except OSError as error:
            print(f"a mail could not be kept: {error.strerror}", flush=True)
            return "452 Insufficient system storage"
        if number % 500 == 0:
            await asyncio.to_thread(self._prune)
        if self._event_key and (events := events_of(envelope.content, envelope.rcpt_tos, name)):
            headers, body = callbacks.sendgrid(events, self._event_key)
            self._callbacks.post(callbacks.SENDGRID_PATH, headers, [body])
        return "250 OK"

    def _prune(self) -> None:
        for file in mailbox.stored(self._folder)[:-MAX_MAILS]:
            file.unlink(missing_ok=True)


def events_of(content: bytes, recipients: Sequence[str], name: str) -> list[dict[str, Any]]:
    """What SendGrid would say of a mail; nothing where no recipient asks for it. `name` is the mail's."""
    told: list[dict[str, Any]] = []
    head = content.partition(b"\r\n\r\n")[0].decode(errors="replace")
    named = re.search(r"^message-id:\s*(<[^>\s]+>)", head, re.IGNORECASE | re.MULTILINE)
    for number, recipient in enumerate(recipients):
        asked = re.match(r"(delivered|bounce|blocked|complaint)[+@]", recipient)
        if not asked:
            continue
        about = {"email": recipient, "timestamp": int(time.time()), "smtp-id": named.group(1) if named else ""}
        about["sg_message_id"] = f"{name}.{number}"
        told += [{**about, **kind, "sg_event_id": f"{name}.{number}.{kind['event']}"} for kind in _TOLD[asked.group(1)]]
    return told


async def serve(port: int, folder: Path, password: str, host: str = "127.0.0.1") -> None:
    """Take mail until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    sink = Sink(folder, os.environ.get("WEFT_EDGE_URL", ""), os.environ.get("WEFT_EVENT_KEY", ""))

    def authenticate(_: SMTP, __: Session, ___: Envelope, ____: str, given: object) -> AuthResult:
        known = isinstance(given, LoginPassword) and hmac.compare_digest(given.password, password.encode())
        return AuthResult(success=known, handled=False)

    def connection() -> SMTP:
        return SMTP(
            sink,
            hostname="weft.local",
            ident="Weft mail sink",
            enable_SMTPUTF8=True,
            authenticator=authenticate,
            auth_required=True,
            auth_require_tls=False,  # it does not leave the machine
        )

    server = await loop.create_server(connection, host, port)
    print(f"takes mail on {host}:{port}", flush=True)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    os.umask(0o077)
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2]), os.environ["WEFT_MAIL_PASSWORD"], *sys.argv[3:4]))
