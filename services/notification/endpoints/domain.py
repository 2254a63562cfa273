"""The rules of webhook endpoints."""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from chassis.errors import FailedPrecondition, NotFound
from chassis.values import etags

MAX_ENDPOINTS = 20
"""Of a partner in a mode: each event costs a delivery for each."""
OVERLAP = timedelta(hours=24)
"""How long requests are signed with the former secret, too."""
_SECRET_PREFIX, _SECRET_BYTES = "whsec_", 32
"""As Standard Webhooks has them."""
FULL, THIN = "FULL", "THIN"
BY_PARTNER, GONE, FAILING = "BY_PARTNER", "GONE", "FAILING"
"""Why an endpoint is disabled."""


class WebhookEndpointNotFound(NotFound):
    """There is no webhook endpoint {endpoint_id}."""


class WebhookEndpointLimitReached(FailedPrecondition):
    """A partner may have {limit} webhook endpoints in a mode."""


class WebhookEndpointDisabled(FailedPrecondition):
    """The webhook endpoint {endpoint_id} is disabled; enable it first."""


@dataclass(frozen=True)
class Secrets:
    """What requests are signed with: the secret, and until a time the former one."""

    current: str = field(repr=False)
    previous: str = field(default="", repr=False)
    previous_expires_at: datetime | None = None

    def at(self, now: datetime) -> tuple[str, ...]:
        """Those that sign, the newest first."""
        ends = self.previous_expires_at
        return (self.current, self.previous) if self.previous and ends and now < ends else (self.current,)

    def overlap_end(self, now: datetime) -> datetime | None:
        """Until when the former secret signs; None where it does not."""
        return self.previous_expires_at if len(self.at(now)) > 1 else None

    def rotated(self, now: datetime, *, end_previous: bool) -> "Secrets":
        """With a new secret; the present one signs beside it for a while, unless it ends now."""
        return Secrets(make_secret()) if end_previous else Secrets(make_secret(), self.current, now + OVERLAP)


def make_secret() -> str:
    """A new secret, as Standard Webhooks writes it."""
    return _SECRET_PREFIX + base64.b64encode(os.urandom(_SECRET_BYTES)).decode()


@dataclass(frozen=True)
class Endpoint:
    """An address, and what is sent there. `disable_reason` is empty while it is enabled."""

    endpoint_id: str
    partner_id: str
    mode: str
    url: str
    description: str
    event_types: tuple[str, ...]
    payload: str
    max_requests_per_second: int
    disable_reason: str
    secrets: Secrets
    version: int
    created_at: datetime
    updated_at: datetime
    failing_since: datetime | None = None

    @property
    def enabled(self) -> bool:
        """Whether events are sent."""
        return not self.disable_reason

    @property
    def etag(self) -> str:
        """Changes with every update."""
        return etags.of(self.version)

    def update(self, now: datetime, etag: str, changes: Mapping[str, object]) -> "Endpoint":
        """`changes`: new values by attribute. The endpoint itself if nothing changes. Raises `EtagMismatch` for a stale etag."""
        etags.require(etag, self.version)
        if all(getattr(self, name) == value for name, value in changes.items()):
            return self
        return replace(self, version=self.version + 1, updated_at=now, **changes)  # type: ignore[arg-type]

    def rotate(self, now: datetime, *, end_previous: bool) -> "Endpoint":
        """With a new secret."""
        return self.update(now, "", {"secrets": self.secrets.rotated(now, end_previous=end_previous)})

    def require_enabled(self) -> None:
        """Raises `WebhookEndpointDisabled`."""
        if not self.enabled:
            raise WebhookEndpointDisabled(endpoint_id=self.endpoint_id)
