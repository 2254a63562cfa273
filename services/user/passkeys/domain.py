"""The rules of passkeys."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from chassis.errors import FailedPrecondition, NotFound, Unauthenticated
from chassis.values import etags

MAX_PASSKEYS = 20
"""Of a user."""
CHALLENGE_LIFETIME = timedelta(minutes=5)
DEFAULT_NAME = "Passkey"


class PasskeyInvalid(Unauthenticated):
    """The passkey's response does not fit; begin again."""


class PasskeyNotFound(NotFound):
    """There is no passkey {passkey_id}."""


class PasskeyLimitReached(FailedPrecondition):
    """A user may have {limit} passkeys; delete one first."""


@dataclass(frozen=True, slots=True)
class Passkey:
    """A registered credential. `sign_count` is the authenticator's counter, 0 where it has none."""

    passkey_id: str
    user_id: str
    credential_id: bytes = field(repr=False)
    public_key: bytes = field(repr=False)
    sign_count: int
    display_name: str = field(repr=False)
    backed_up: bool
    created_at: datetime
    last_used_at: datetime | None = None
    revision: int = 1

    @property
    def etag(self) -> str:
        """Changes with every update."""
        return etags.of(self.revision)

    def accepts(self, count: int) -> bool:
        """Whether a counter of the authenticator follows the last one; a copy of the key has one that does not."""
        return count > self.sign_count or count == self.sign_count == 0

    def update(self, etag: str, changes: Mapping[str, object]) -> "Passkey":
        """`changes`: new values by attribute. The passkey itself if nothing changes. Raises `EtagMismatch` for a stale etag."""
        etags.require(etag, self.revision)
        if all(getattr(self, name) == value for name, value in changes.items()):
            return self
        return replace(self, revision=self.revision + 1, **changes)  # type: ignore[arg-type]
