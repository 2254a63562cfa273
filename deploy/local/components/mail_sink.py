"""A mail server that keeps what it gets, as `.eml` files: `python -m deploy.local.components.mail_sink PORT FOLDER [HOST]`.

It takes mail from whoever knows the password in `WEFT_MAIL_PASSWORD`, so from no other user and no web page.
"""

import asyncio
import hmac
import itertools
import os
import signal
import sys
import time
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from deploy.local.demo import mailbox

MAX_MAILS = 20_000
"""Mails that are kept; the oldest are removed first."""


class Sink:
    """Writes each mail as one file, under a name that sorts by time, with the envelope's addresses on top."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
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
        return "250 OK"

    def _prune(self) -> None:
        for file in mailbox.stored(self._folder)[:-MAX_MAILS]:
            file.unlink(missing_ok=True)


async def serve(port: int, folder: Path, password: str, host: str = "127.0.0.1") -> None:
    """Take mail until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    sink = Sink(folder)

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
