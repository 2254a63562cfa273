"""E-mail addresses: one rule for what is taken and for what is sent, so that nobody waits for a mail that cannot be written.

ASCII on both sides of the `@`: letters beyond it need SMTPUTF8 of every server on the way (RFC 6531). Whether there is
a mailbox, only a mail tells.
"""

import contextlib
import re
from functools import lru_cache

import email_validator

for _name in ("local", "localhost", "test"):  # names that a company's own network, or a test's, may deliver to
    with contextlib.suppress(ValueError):
        email_validator.SPECIAL_USE_DOMAIN_NAMES.remove(_name)


_MAX_LOCAL, _MAX_ADDRESS = 64, 254  # RFC 5321, 4.5.3.1
_PLAIN = re.compile(r"[A-Za-z0-9]+(?:[._+-][A-Za-z0-9]+)*")
"""What most people have before the `@`."""


def problem(address: str) -> str:
    """What is wrong with an address, as a phrase for its owner; empty where a mail can be sent to it."""
    if not address.isascii():
        return "an address is written in ASCII"
    if "=?" in address:
        return "an address holds no encoded word"  # which mail programs would read as something else (RFC 2047)
    local, _, domain = address.rpartition("@")
    if _PLAIN.fullmatch(local) and len(local) <= _MAX_LOCAL and len(address) <= _MAX_ADDRESS and not _of_domain(domain):
        return ""
    return _of(address)


@lru_cache(maxsize=1024)
def _of_domain(domain: str) -> str:
    """Cached: the library takes 19 µs to read an address, most of them for its domain, and people share a few."""
    return _of(f"x@{domain}") if len(domain) < _MAX_ADDRESS else "too long"


def _of(address: str) -> str:
    try:
        email_validator.validate_email(address, check_deliverability=False, allow_smtputf8=False, strict=True)
    except email_validator.EmailNotValidError as error:
        # The library quotes what it was given at most by the character.
        return str(error).removesuffix(".")[:200]
    return ""
