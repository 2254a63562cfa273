"""The rules of partners and their clients: states, scopes and secrets."""

import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from chassis.errors import FailedPrecondition, NotFound, PermissionDenied
from chassis.values import etags

ACTIVE, SUSPENDED = "ACTIVE", "SUSPENDED"
SECRET, PRIVATE_KEY, NONE = "SECRET", "PRIVATE_KEY", "NONE"
"""How a client authenticates."""
CLIENT_CREDENTIALS, AUTHORIZATION_CODE = "CLIENT_CREDENTIALS", "AUTHORIZATION_CODE"
SECRET_OVERLAP = timedelta(hours=24)
"""How long a replaced secret keeps working."""


class PartnerNotFound(NotFound):
    """There is no partner {partner_id}."""


class PartnerAlreadySuspended(FailedPrecondition):
    """The partner {partner_id} is already suspended."""


class PartnerNotSuspended(FailedPrecondition):
    """The partner {partner_id} is not suspended."""


class ClientNotFound(NotFound):
    """There is no client {client_id}."""


class ClientModeNotAllowed(PermissionDenied):
    """The caller does not manage clients of the mode {mode}."""


class ClientWithoutSecret(FailedPrecondition):
    """The client {client_id} does not authenticate with a secret."""


class ScopeNotGranted(FailedPrecondition):
    """The partner does not have the scopes {scopes}."""


@dataclass(frozen=True, slots=True)
class Partner:
    """A company that integrates with the platform. Immutable: methods that change it return the changed partner."""

    partner_id: str
    display_name: str
    plan: str
    scopes: tuple[str, ...]
    state: str
    created_at: datetime
    updated_at: datetime
    revision: int = 1
    token_generation: int = 0

    @property
    def etag(self) -> str:
        """Changes with every change of the partner."""
        return etags.of(self.revision)

    def suspend(self, now: datetime) -> "Partner":
        """Stop serving. Raises `PartnerAlreadySuspended`."""
        if self.state == SUSPENDED:
            raise PartnerAlreadySuspended(partner_id=self.partner_id)
        return self._changed(now, state=SUSPENDED)

    def reinstate(self, now: datetime) -> "Partner":
        """Serve again. Raises `PartnerNotSuspended`."""
        if self.state != SUSPENDED:
            raise PartnerNotSuspended(partner_id=self.partner_id)
        return self._changed(now, state=ACTIVE)

    def update(self, now: datetime, etag: str, changes: dict[str, object]) -> "Partner":
        """`changes`: new values by attribute. The partner itself if nothing changes. Raises `EtagMismatch` for a stale etag."""
        etags.require(etag, self.revision)
        if all(getattr(self, name) == value for name, value in changes.items()):
            return self
        return self._changed(now, **changes)

    def withdraws(self, before: "Partner") -> bool:
        """Whether the partner's tokens from `before` this change allow what is not allowed any more."""
        return not set(before.scopes) <= set(self.scopes) or (self.state == SUSPENDED != before.state)

    def require(self, scopes: Iterable[str]) -> None:
        """Raise `ScopeNotGranted` for scopes that the partner does not have."""
        missing = sorted(set(scopes) - set(self.scopes))
        if missing:
            raise ScopeNotGranted(scopes=" ".join(missing))

    def _changed(self, now: datetime, **changes: object) -> "Partner":
        return replace(self, updated_at=now, revision=self.revision + 1, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Client:
    """A program of a partner, with credentials of its own."""

    client_id: str
    partner_id: str
    display_name: str
    scopes: tuple[str, ...]
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    mode: str = "LIVE"
    token_generation: int = 0
    authentication: str = SECRET
    grant_types: tuple[str, ...] = (CLIENT_CREDENTIALS,)
    redirect_uris: tuple[str, ...] = ()
    jwks: str | None = None
    revision: int = 1
    allowed_networks: tuple[str, ...] = ()

    @property
    def etag(self) -> str:
        """Changes with every update of the client."""
        return etags.of(self.revision)

    @property
    def is_public(self) -> bool:
        """Whether it can keep no secret, so that anyone can say that they are it."""
        return self.authentication == NONE

    @property
    def takes_secrets(self) -> bool:
        """Whether it may authenticate with a secret."""
        return self.authentication == SECRET

    def withdraws(self, before: "Client") -> bool:
        """Whether the client's tokens from `before` this change allow what is not allowed any more."""
        same = all(getattr(before, n) == getattr(self, n) for n in ("authentication", "jwks", "allowed_networks"))
        return not (same and {*before.scopes, *before.grant_types} <= {*self.scopes, *self.grant_types})

    def update(self, etag: str, changes: dict[str, object]) -> "Client":
        """`changes`: new values by attribute. The client itself if nothing changes. Raises `EtagMismatch` for a stale etag."""
        etags.require(etag, self.revision)
        if all(getattr(self, name) == value for name, value in changes.items()):
            return self
        return replace(self, revision=self.revision + 1, **changes)  # type: ignore[arg-type]


class Secret(NamedTuple):
    """When a secret was made and when it stops working, if it does."""

    created_at: datetime
    expires_at: datetime | None


def make_secret() -> str:
    """256 random bits; the prefix makes it recognisable to secret scanners."""
    return f"wcs_{secrets.token_urlsafe(32)}"


def unknown_scopes(scopes: Iterable[str], known: Collection[str]) -> list[tuple[int, str]]:
    """Index and name of the scopes that are not known."""
    return [(index, scope) for index, scope in enumerate(scopes) if scope not in known]


def minute(now: datetime) -> datetime:
    """A time, truncated to the minute."""
    return now.replace(second=0, microsecond=0)
