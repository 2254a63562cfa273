"""Mail goes through SMTP into files, and is found again by its address."""

import asyncio
import smtplib
import socket
from email.message import EmailMessage

import pytest

from deploy.local.demo import mailbox
from deploy.local.state.ports import Ports
from deploy.local.supervisor.process import Process
from deploy.local.supervisor.readiness import greets
from tests.deploy.conftest import python_part
from tests.servers import until

PASSWORD = "a-password"


@pytest.fixture
async def port(home, journal):
    number = Ports(home.run / "ports.json").take("mail")
    code = (
        "import uvloop\nfrom pathlib import Path\nfrom deploy.local.components.mail_sink import serve\n"
        f"uvloop.run(serve({number}, Path({str(home.mail)!r}), {PASSWORD!r}))"
    )
    sink = Process(python_part(code), journal.log("mail"))
    await until(lambda: greets(number)(sink.pid), "the mail sink")
    yield number
    await sink.stop()
    assert sink.code == 0


def send(port: int, recipient: str, text: str) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"], mail["Message-ID"] = "a@weft.local", recipient, "Grüße", "<1@weft.local>"
    mail.set_content(text)
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.login("weft", PASSWORD)
        client.send_message(mail)


async def test_mail_is_kept_and_found_by_address(home, port):
    await asyncio.to_thread(send, port, "ada@customer.example", "Your code is 12345678. Ünïcode too.")
    await asyncio.to_thread(send, port, "grace@customer.example", "No digits.")

    (mail,) = mailbox.mails(home.mail, "Ada@customer.example")
    assert (mail["Subject"], mail["Message-ID"], mail["Return-Path"]) == ("Grüße", "<1@weft.local>", "<a@weft.local>")
    assert mailbox.text(mail) == "Your code is 12345678. Ünïcode too.\n"
    assert mailbox.code(mail) == "12345678"
    (other,) = mailbox.mails(home.mail, "grace@customer.example")
    assert mailbox.code(other) is None
    assert {file.suffix for file in home.mail.iterdir()} == {".eml"}


async def test_who_does_not_know_the_password_leaves_nothing(home, port):
    def without_password() -> list[int]:
        codes = []
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.ehlo()
            codes.append(client.mail("a@weft.local")[0])
            try:
                client.login("weft", "a guess")
            except smtplib.SMTPAuthenticationError as error:
                codes.append(error.smtp_code)
            codes.append(client.mail("a@weft.local")[0])
        with socket.create_connection(("127.0.0.1", port)) as page:  # what a web page can send
            page.sendall(
                b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\nEHLO page\r\nMAIL FROM:<a@weft.local>\r\n"
                b"RCPT TO:<ada@customer.example>\r\nDATA\r\nYour code is 12345678.\r\n.\r\nQUIT\r\n"
            )
            while page.recv(4096):
                pass
        return codes

    assert await asyncio.to_thread(without_password) == [530, 535, 530]
    assert list(home.mail.iterdir()) == []


def test_a_draft_is_not_a_mail_yet(home):
    mail = b"X-Envelope-To: ada@customer.example\r\n\r\nYour code is 12345678."
    (home.mail / ".1795713824343-1-000001.eml").write_bytes(mail[:30])
    assert mailbox.mails(home.mail, "ada@customer.example") == []

    (home.mail / ".1795713824343-1-000001.eml").write_bytes(mail)
    (home.mail / ".1795713824343-1-000001.eml").rename(home.mail / "1795713824343-1-000001.eml")
    assert len(mailbox.mails(home.mail, "ada@customer.example")) == 1
