"""The rules of pending sign-ups: an account was requested for an address that is not verified yet."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chassis.errors import FailedPrecondition, NotFound

SIGN_UP_LIFETIME = timedelta(hours=24)
"""Of a pending sign-up from its last request, and of a code from its mail."""
MAX_CODE_ATTEMPTS = 5
MAX_MAILS = 10
"""Of one pending sign-up in its whole life."""


class VerificationCodeInvalid(FailedPrecondition):
    """No pending sign-up has this address, password and code, or the code is used, expired or out of attempts; request a new one."""


class SignUpNotFound(NotFound):
    """There is no pending sign-up {sign_up_id}."""


@dataclass(frozen=True, slots=True)
class SignUp:
    """A pending sign-up. `network` is a keyed hash of the caller's network."""

    sign_up_id: str
    email: str = field(repr=False)
    display_name: str = field(repr=False)
    locale: str
    password_hash: str = field(repr=False)
    network: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerificationMail:
    """The recipient of a sign-up's mail, and its code; there is no code if the address has an account."""

    email: str = field(repr=False)
    locale: str
    code: str = field(default="", repr=False)
    expires_at: datetime | None = None


def make_code() -> str:
    """Eight random digits."""
    return f"{secrets.randbelow(10**8):08}"
