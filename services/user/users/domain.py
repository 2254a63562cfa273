"""The rules of users."""

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime

from chassis import addresses, locales
from chassis.errors import AlreadyExists, NotFound, RequestInvalid

INITIAL, ACTIVE, INACTIVE = "INITIAL", "ACTIVE", "INACTIVE"
CUSTOMER, OPERATOR, ADMIN = "customer", "operator", "admin"


class EmailTaken(AlreadyExists):
    """There is already a user with this e-mail address."""


class ExternalReferenceTaken(AlreadyExists):
    """There is already a user with the external reference {external_reference}."""


class UserNotFound(NotFound):
    """There is no user {user_id}."""


@dataclass(frozen=True, slots=True)
class User:
    """A person who signs in, without a `partner_id`, or a partner's customer. `events` is the sequence of the last event."""

    user_id: str
    partner_id: str
    email: str = field(repr=False)
    display_name: str = field(repr=False)
    locale: str
    state: str
    external_reference: str
    roles: tuple[str, ...]
    plan: str
    created_at: datetime
    updated_at: datetime
    password_hash: str = field(default="", repr=False)
    revision: int = 1
    events: int = 0
    mode: str = "LIVE"
    token_generation: int = 0

    @property
    def may_sign_in(self) -> bool:
        """Whether the address is verified and the account open."""
        return self.state == ACTIVE


def fold(email: str) -> str:
    """The form in which addresses are compared: without differences of case and Unicode composition."""
    return unicodedata.normalize("NFKC", email).casefold()


def refuse_unmailable(email: str, field: str = "email") -> None:
    """Raise `RequestInvalid` for an address that mail cannot be sent to."""
    if problem := addresses.problem(email):
        raise RequestInvalid(violations=[(field, problem)])


def normal_locale(tag: str) -> str:
    """The canonical form of a language tag; `en` if empty. Raises `RequestInvalid`."""
    try:
        return locales.normalise(tag) if tag else "en"
    except ValueError:
        raise RequestInvalid(violations=[("locale", "must be a BCP 47 language tag, such as de-AT")]) from None
