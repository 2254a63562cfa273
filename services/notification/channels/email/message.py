"""A mail as it is sent over the wire.

Headers are written here: the standard library decodes an encoded word in a name (`=?utf-8?b?…?=`), so a name could inject
headers. So are the two parts of the body, which the library takes a millisecond for.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime, parseaddr

from chassis.settings import SettingsError
from chassis.values import addresses
from chassis.values.plain_text import single_line
from services.notification.templates.rendering import EmailContent

MAX_NAME_LENGTH = 100
MAX_SUBJECT_LENGTH = 200
_BOUNDARY = b"=_weft"
"""Neither quoted-printable nor base64 can contain it (RFC 2045, 6.7)."""
_ALTERNATIVE = b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="' + _BOUNDARY + b'"\r\n\r\n'
_WORDS = re.compile(r"[A-Za-z0-9!#$%&'*+/^`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/^`{|}~-]+)*")
"""A display name that needs neither quotes nor encoding (RFC 5322, 3.2.5); without `=` and `?`, which begin encoded words."""


class AddressUnusable(Exception):
    """No mail can be sent to the recipient's address."""


@dataclass(frozen=True)
class Sender:
    """The sender of mails: the envelope's address and the `From` header."""

    address: str
    header: str

    @classmethod
    def of(cls, setting: str) -> "Sender":
        """Read `WEFT_MAIL_FROM`. Raises `SettingsError`."""
        name, address = parseaddr(setting)
        if not setting.isprintable() or addresses.problem(address):
            raise SettingsError("WEFT_MAIL_FROM: write an address, as in Your Shop <no-reply@your.domain>.")
        return cls(address, mailbox(name, address))

    def named(self, name: str) -> "Sender":
        """The same address under another name."""
        return Sender(self.address, mailbox(name, self.address))


@dataclass(frozen=True)
class Mail:
    """An envelope and its content."""

    sender: str
    recipient: str
    content: bytes


def compose(
    content: EmailContent,
    *,
    sender: Sender,
    address: str,
    name: str,
    delivery_id: str,
    create_time: datetime,
    unsubscribe: str = "",
    named_to_sendgrid: bool = False,
) -> Mail:
    """A multipart mail. `unsubscribe` is a URL for one click (RFC 8058). Raises `AddressUnusable`.

    `named_to_sendgrid`: with the header that SendGrid takes out, and repeats in its events.

    The Message-ID is the delivery's and the same in every attempt, so that a mail that arrives twice is one mail
    (RFC 5322, 3.6.4).
    """
    if problem := addresses.problem(address):
        raise AddressUnusable(problem)
    headers = {
        "From": sender.header,
        "To": mailbox(name, address),
        "Subject": unstructured("Subject", single_line(content.subject, MAX_SUBJECT_LENGTH)),
        "Date": format_datetime(create_time),
        "Message-ID": message_id(delivery_id, sender),
        "Auto-Submitted": "auto-generated",  # RFC 3834: no out-of-office notes in return
        "Content-Language": content.locale,
    }
    if unsubscribe:
        headers |= {"List-Unsubscribe": f"<{unsubscribe}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    if named_to_sendgrid:
        headers["X-SMTPAPI"] = json.dumps({"unique_args": {"delivery_id": delivery_id}})
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return Mail(sender.address, address, head.encode("ascii") + _body(content))


def _body(content: EmailContent) -> bytes:
    """The MIME headers (MIME-Version, Content-Type) and the parts (RFC 2046, 5.1.4)."""
    parts = (_part("plain", content.text), _part("html", content.html))
    delimited = b"".join(b"--" + _BOUNDARY + b"\r\n" + part + b"\r\n" for part in parts)
    return _ALTERNATIVE + delimited + b"--" + _BOUNDARY + b"--\r\n"


def _part(subtype: str, text: str) -> bytes:
    """In quoted-printable or base64, whichever is shorter; so every line is short, and ASCII."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n") + "\n"
    raw = lines.encode(errors="replace")
    encoding, body = "quoted-printable", binascii.b2a_qp(raw, istext=True)
    if len(body) > 1.4 * len(raw):
        encoding, body = "base64", base64.encodebytes(raw.replace(b"\n", b"\r\n"))
    head = f'Content-Type: text/{subtype}; charset="utf-8"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n'
    return head.encode() + body.replace(b"\n", b"\r\n")


def mailbox(name: str, address: str) -> str:
    """A name and an address as in `To` and `From`; the name is shown literally, even with encoded words in it."""
    name = single_line(name, MAX_NAME_LENGTH)
    if not name:
        return address
    phrase = name if _WORDS.fullmatch(name) else _encoded("From", name)
    return f"{phrase}\r\n <{address}>" if len(phrase) + len(address) > 60 else f"{phrase} <{address}>"


def unstructured(header: str, text: str) -> str:
    """Text as in `Subject`."""
    plain = text.isascii() and "=?" not in text and len(text) < 70
    return text if plain else _encoded(header, text)


def _encoded(header: str, text: str) -> str:
    """Encoded words (RFC 2047)."""
    return Header(text, "utf-8", header_name=header).encode(linesep="\r\n")


def message_id(delivery_id: str, sender: Sender) -> str:
    """`<dlv_01k…@weft.local>`."""
    return f"<{delivery_id}@{sender.address.partition('@')[2]}>"
