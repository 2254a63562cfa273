"""Reads what the mail sink kept."""

import email
import email.policy
import re
from email.message import EmailMessage
from pathlib import Path


def mails(folder: Path, recipient: str) -> list[EmailMessage]:
    """The mails to an address, oldest first."""
    found = []
    for file in sorted(folder.glob("*.eml")):
        mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        if recipient.lower() in [address.strip().lower() for address in str(mail["X-Envelope-To"]).split(",")]:
            found.append(mail)
    return found


def text(mail: EmailMessage) -> str:
    """The plain text of a mail."""
    part = mail.get_body(("plain", "html"))
    return part.get_content() if part is not None else ""


def code(mail: EmailMessage) -> str | None:
    """The eight digits of a verification mail; None in another."""
    found = re.search(r"(?<!\d)\d{8}(?!\d)", text(mail))
    return found.group() if found else None
