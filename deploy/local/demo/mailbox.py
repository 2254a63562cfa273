"""Reads what the mail sink kept."""

import email
import email.policy
import re
from email.message import EmailMessage
from pathlib import Path


def stored(folder: Path) -> list[Path]:
    """The mails that are wholly written, oldest first. A draft, which the sink has yet to rename, begins with a dot."""
    return sorted(folder.glob("[!.]*.eml"))


def mails(folder: Path, recipient: str, since: float = 0) -> list[EmailMessage]:
    """The mails to an address, oldest first; those before `since` (seconds since the epoch) are not looked at."""
    found = []
    wanted = recipient.lower()
    for file in stored(folder):
        if int(file.name.partition("-")[0]) < since * 1000:
            continue
        raw = file.read_bytes()
        if wanted.encode() not in raw.partition(b"\r\n\r\n")[0].lower():
            continue
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        if wanted in [address.strip().lower() for address in str(mail["X-Envelope-To"]).split(",")]:
            found.append(mail)
    return found


def text(mail: EmailMessage) -> str:
    """The plain text of a mail."""
    part = mail.get_body(("plain", "html"))
    return part.get_content().replace("\r\n", "\n") if part is not None else ""


def code(mail: EmailMessage) -> str | None:
    """The eight digits of a verification mail; None in another."""
    found = re.search(r"(?<!\d)\d{8}(?!\d)", text(mail))
    return found.group() if found else None
