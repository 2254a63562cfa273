"""What a pending sign-up is: an address that someone asked an account for and has yet to prove."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chassis.errors import FailedPrecondition, NotFound

LIFE = timedelta(hours=24)
"""Of a pending sign-up from the last time that it was asked for, and of a code from its mail."""
CODE_ATTEMPTS = 5
MAILS = 10
"""For one pending sign-up, in all its life."""


class VerificationCodeInvalid(FailedPrecondition):
    """No pending sign-up has this address, password and code, or the code is used, too old or was tried too often."""


class SignUpNotFound(NotFound):
    """There is no pending sign-up {sign_up_id}."""


@dataclass(frozen=True, slots=True)
class SignUp:
    """One person's wish for an account. `network` is a keyed hash of where it came from."""

    sign_up_id: str
    email: str = field(repr=False)
    display_name: str = field(repr=False)
    locale: str
    password_hash: str = field(repr=False)
    network: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Letter:
    """Where a sign-up's mail goes, and the code in it: none where the address has an account."""

    email: str = field(repr=False)
    locale: str
    code: str = field(default="", repr=False)
    expires_at: datetime | None = None


def make_code() -> str:
    """Eight random digits."""
    return f"{secrets.randbelow(10**8):08}"
