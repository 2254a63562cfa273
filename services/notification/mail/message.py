"""A mail as it goes over the wire."""

from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from services.notification.rendering import Letter


class AddressUnusable(Exception):
    """The recipient's address cannot stand in a mail."""


def compose(
    letter: Letter, *, sender: str, address: str, name: str, delivery_id: str, created: datetime
) -> EmailMessage:
    """A multipart mail. Raises `AddressUnusable`.

    The Message-ID follows from the delivery and stays the same over attempts, so that a mail that came twice is one
    mail (RFC 5322, 3.6.4).
    """
    if not address.isascii():
        raise AddressUnusable("not ASCII")  # the contract's bounds let none through
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    try:
        mail["To"] = Address(printable(name), addr_spec=address)
    except (ValueError, MessageError, IndexError) as error:
        raise AddressUnusable(type(error).__name__) from None
    mail["Subject"] = printable(letter.subject)
    mail["Date"] = format_datetime(created)
    mail["Message-ID"] = message_id(delivery_id, sender)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office notes in return
    mail.set_content(letter.text)
    mail.add_alternative(letter.html, subtype="html")
    mail["Content-Language"] = letter.locale
    return mail


def message_id(delivery_id: str, sender: str) -> str:
    """`<dlv_01k…@weft.local>`."""
    return f"<{delivery_id}@{parseaddr(sender)[1].partition('@')[2] or 'weft.local'}>"


def printable(text: str) -> str:
    """One line without control characters: nothing that could begin another header."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
