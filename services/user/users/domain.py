"""The rules of users."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from chassis.errors import AlreadyExists, FailedPrecondition, NotFound, RequestInvalid
from chassis.values import addresses, etags, locales
from services.user.users.profile import Address

INITIAL, ACTIVE, INACTIVE, LOCKED, DELETED = "INITIAL", "ACTIVE", "INACTIVE", "LOCKED", "DELETED"
CUSTOMER, OPERATOR, ADMIN = "customer", "operator", "admin"


class EmailTaken(AlreadyExists):
    """There is already a user with this e-mail address."""


class ExternalReferenceTaken(AlreadyExists):
    """There is already a user with the external reference {external_reference}."""


class ChangeNeedsVerification(FailedPrecondition):
    """The {field} of a person can only be changed with verification: use RequestEmailChange or RequestPhoneVerification."""


class UserNotFound(NotFound):
    """There is no user {user_id}."""


class UserNotActive(FailedPrecondition):
    """The account of {user_id} is {state}, not ACTIVE."""


class UserNotInactive(FailedPrecondition):
    """The account of {user_id} is {state}, not INACTIVE."""


class UserNotLocked(FailedPrecondition):
    """The account of {user_id} is {state}, not LOCKED."""


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
    given_name: str = field(default="", repr=False)
    family_name: str = field(default="", repr=False)
    time_zone: str = ""
    phone: str = field(default="", repr=False)
    phone_verified_at: datetime | None = None
    addresses: tuple[Address, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def etag(self) -> str:
        """Changes with every change of the user."""
        return etags.of(self.revision)

    @property
    def may_sign_in(self) -> bool:
        """Whether the address is verified and the account open."""
        return self.state == ACTIVE

    def update(self, now: datetime, etag: str, changes: Mapping[str, Any]) -> "User":
        """`changes`: new values by attribute. The user itself if nothing changes. Raises `EtagMismatch` for a stale etag."""
        self.require(etag)
        if all(getattr(self, name) == value for name, value in changes.items()):
            return self
        return self._changed(now, **changes)

    def deactivate(self, now: datetime) -> "User":
        """Close the account. Raises `UserNotActive`."""
        if self.state != ACTIVE:
            raise UserNotActive(user_id=self.user_id, state=self.state)
        return self._changed(now, state=INACTIVE)

    def reactivate(self, now: datetime) -> "User":
        """Open it again. Raises `UserNotInactive`."""
        if self.state != INACTIVE:
            raise UserNotInactive(user_id=self.user_id, state=self.state)
        return self._changed(now, state=ACTIVE)

    def lock(self, now: datetime) -> "User":
        """Lock the account. Raises `UserNotActive`."""
        if self.state != ACTIVE:
            raise UserNotActive(user_id=self.user_id, state=self.state)
        return self._changed(now, state=LOCKED)

    def unlock(self, now: datetime) -> "User":
        """Unlock it. Raises `UserNotLocked`."""
        if self.state != LOCKED:
            raise UserNotLocked(user_id=self.user_id, state=self.state)
        return self._changed(now, state=ACTIVE)

    def require(self, etag: str) -> None:
        """Raise `EtagMismatch` for an etag that is not the current one; an empty one is none."""
        etags.require(etag, self.revision)

    def _changed(self, now: datetime, **changes: Any) -> "User":
        return replace(self, updated_at=now, revision=self.revision + 1, **changes)


def fold(email: str) -> str:
    """The form in which addresses are compared: without differences of case and Unicode composition."""
    return unicodedata.normalize("NFKC", email).casefold()


def refuse_unmailable(email: str, field: str = "email") -> None:
    """Raise `RequestInvalid` for an address that mail cannot be sent to."""
    if problem := addresses.problem(email):
        raise RequestInvalid(violations=[(field, problem)])


def normal_locale(tag: str, within: str = "") -> str:
    """The canonical form of a language tag; `en` if empty. Raises `RequestInvalid`; the field is in `within`."""
    try:
        return locales.normalise(tag) if tag else "en"
    except ValueError:
        wanted = "must be a BCP 47 language tag, such as de-AT"
        raise RequestInvalid(violations=[(f"{within}locale", wanted)]) from None
