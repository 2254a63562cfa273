"""The rules of one-time codes."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from chassis.errors import FailedPrecondition, NotFound

MAX_ATTEMPTS = 5
"""Of one code that only a signed-in user can try; the codes of anonymous callers are too long to be guessed."""
MAX_MESSAGES = 10
"""Of one request in its whole life."""
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD = str.maketrans("ILO", "110")
"""Crockford's base 32: letters that are taken for digits."""


class Kind(Enum):
    """What a code proves."""

    PASSWORD_RESET = "PASSWORD_RESET"  # noqa: S105 - no password
    EMAIL_CHANGE = "EMAIL_CHANGE"
    PHONE = "PHONE"
    INVITATION = "INVITATION"
    EMAIL_CHANGED = "EMAIL_CHANGED"  # proves nothing: keeps a former address until the notice was sent

    @property
    def action(self) -> str:
        """The name of a request in the audit trail."""
        return f"{self.value.lower()}.requested"


class Message(Enum):
    """What the message about a code says; the names are those of the contract."""

    CODE = "CODE"
    NO_ACCOUNT = "NO_ACCOUNT"
    ACCOUNT_CLOSED = "ACCOUNT_CLOSED"
    ADDRESS_TAKEN = "ADDRESS_TAKEN"
    ADDRESS_CHANGED = "ADDRESS_CHANGED"


CODE_LIFETIME = {
    Kind.PASSWORD_RESET: timedelta(hours=1),
    Kind.EMAIL_CHANGE: timedelta(hours=1),
    Kind.PHONE: timedelta(minutes=10),
    Kind.INVITATION: timedelta(days=7),
}
"""From when the code is made, which is when its message is sent."""
REQUEST_LIFETIME = {
    Kind.PASSWORD_RESET: timedelta(hours=24),
    Kind.EMAIL_CHANGE: timedelta(hours=24),
    Kind.EMAIL_CHANGED: timedelta(days=7),
    Kind.PHONE: timedelta(hours=1),
    Kind.INVITATION: timedelta(days=7),
}
"""How long a message may be on its way."""


class CodeInvalid(FailedPrecondition):
    """The code is wrong, used, expired or out of attempts; request a new one."""


class CodeRequestNotFound(NotFound):
    """There is no request {code_request_id} of a code."""


@dataclass(frozen=True, slots=True)
class CodeRequest:
    """A request of a code for an address. One of a `requester`, who is a user or a stranger's network, replaces the last one."""

    code_request_id: str
    kind: Kind
    requester: str
    address: str = field(repr=False)
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """The recipient of a message about a code, and the code if the message has one."""

    message: Message
    locale: str
    email: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    code: str = field(default="", repr=False)
    expires_at: datetime | None = None
    partner_name: str = ""


def make_digits() -> str:
    """Eight random digits, for who has to be signed in to try them."""
    return f"{secrets.randbelow(10**8):08}"


def make_letters() -> str:
    """Twelve random letters and digits (60 bits), such as `7K2M-9X4P-W3TQ`, for whom nobody counts the attempts of."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    return "-".join((letters[:4], letters[4:8], letters[8:]))


def normal(code: str) -> str:
    """A code as it was made, from what a person has typed."""
    return code.replace("-", "").replace(" ", "").upper().translate(_MISREAD)
