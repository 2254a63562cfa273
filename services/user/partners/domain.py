"""Partners and their clients: states, scopes and secrets."""

import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chassis.errors import EtagMismatch, FailedPrecondition, NotFound

ACTIVE, SUSPENDED = "ACTIVE", "SUSPENDED"
OVERLAP = timedelta(hours=24)
"""How long a replaced secret still works."""


class PartnerNotFound(NotFound):
    """There is no partner {partner_id}."""


class PartnerAlreadySuspended(FailedPrecondition):
    """The partner {partner_id} is suspended already."""


class PartnerNotSuspended(FailedPrecondition):
    """The partner {partner_id} is not suspended."""


class ClientNotFound(NotFound):
    """There is no client {client_id}."""


class ScopeNotGranted(FailedPrecondition):
    """The partner does not hold: {scopes}."""


@dataclass(frozen=True, slots=True)
class Partner:
    """A company that integrates. `revision` counts its changes; each method returns the partner as it is afterwards."""

    partner_id: str
    display_name: str
    plan: str
    scopes: tuple[str, ...]
    state: str
    created_at: datetime
    updated_at: datetime
    revision: int = 1

    @property
    def etag(self) -> str:
        """Another one after every change."""
        return str(self.revision)

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
        """New values by field; itself where it has them already. Raises `EtagMismatch` for a stale etag."""
        if etag and etag != self.etag:
            raise EtagMismatch(etag=self.etag)
        if all(getattr(self, name) == value for name, value in changes.items()):
            return self
        return self._changed(now, **changes)

    def require(self, scopes: Iterable[str]) -> None:
        """Raise `ScopeNotGranted` for scopes that the partner does not hold."""
        missing = sorted(set(scopes) - set(self.scopes))
        if missing:
            raise ScopeNotGranted(scopes=" ".join(missing))

    def _changed(self, now: datetime, **changes: object) -> "Partner":
        return replace(self, updated_at=now, revision=self.revision + 1, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Client:
    """A program of a partner's."""

    client_id: str
    partner_id: str
    display_name: str
    scopes: tuple[str, ...]
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


def make_secret() -> str:
    """256 random bits; the prefix lets leak scanners know it."""
    return f"wcs_{secrets.token_urlsafe(32)}"


def unknown_scopes(scopes: Iterable[str], known: Collection[str]) -> list[tuple[int, str]]:
    """Place and name of those that the API does not have."""
    return [(place, scope) for place, scope in enumerate(scopes) if scope not in known]


def minute(now: datetime) -> datetime:
    """The minute that a time is in."""
    return now.replace(second=0, microsecond=0)
