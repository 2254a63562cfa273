"""The rules of partners' people."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from chassis.errors import AlreadyExists, FailedPrecondition, NotFound
from chassis.values import etags

VIEWER, DEVELOPER, OWNER = "viewer", "developer", "owner"
MAX_MEMBERS = 200
"""Of a partner, with the invitations that are open."""


class MemberNotFound(NotFound):
    """The partner has no person {user_id}."""


class MemberAlreadyExists(AlreadyExists):
    """The caller is one of the partner's people already."""


class MemberLimitReached(FailedPrecondition):
    """A partner may have {limit} people and open invitations."""


class LastOwnerStays(FailedPrecondition):
    """The partner {partner_id} would be left without an owner."""


@dataclass(frozen=True, slots=True)
class Member:
    """A person who acts for a partner."""

    partner_id: str
    user_id: str
    member_id: str
    role: str
    created_at: datetime
    revision: int = 1
    token_generation: int = 0

    @property
    def etag(self) -> str:
        """Changes with every update of the member."""
        return etags.of(self.revision)

    def update(self, etag: str, changes: Mapping[str, object]) -> "Member":
        """`changes`: new values by attribute. The member itself if nothing changes. Raises `EtagMismatch` for a stale etag."""
        etags.require(etag, self.revision)
        if all(getattr(self, name) == value for name, value in changes.items()):
            return self
        return replace(self, revision=self.revision + 1, **changes)  # type: ignore[arg-type]
