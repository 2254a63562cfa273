"""What a person has chosen, and what follows from it for one message."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from chassis.errors import InvalidArgument, NotFound
from chassis.values import etags
from services.notification.categories import Category
from services.notification.channels.channel import Channel


class PreferencesNotFound(NotFound):
    """There is no user {user_id}, or it is not you."""


class UnsubscribeTokenInvalid(InvalidArgument):
    """The link to unsubscribe is not complete."""


@dataclass(frozen=True)
class QuietHours:
    """From `start` to `end` by the clock of a time zone; without one, by that of the person's profile."""

    start: time
    end: time
    time_zone: str = ""

    def includes(self, now: datetime, zone_of_profile: str) -> bool:
        """Whether `now` is within them."""
        zone = self.time_zone or zone_of_profile
        local = now.astimezone(ZoneInfo(zone) if zone else UTC).time()
        if self.start < self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end

    def end_after(self, moment: datetime, zone_of_profile: str) -> datetime:
        """When they end next."""
        zone = self.time_zone or zone_of_profile
        local = moment.astimezone(ZoneInfo(zone) if zone else UTC)
        day = local.date() if local.time() < self.end else local.date() + timedelta(days=1)
        return datetime.combine(day, self.end, local.tzinfo).astimezone(UTC)


@dataclass(frozen=True)
class Preferences:
    """Those of a person. Version 0 is of who has never chosen."""

    user_id: str
    muted: frozenset[tuple[Category, Channel]] = frozenset()
    quiet_hours: QuietHours | None = None
    digests: Mapping[tuple[Category, Channel], timedelta] = field(default_factory=dict)
    """For how long the messages of a category are collected; others are sent one by one."""
    version: int = 0
    updated_at: datetime | None = None

    @property
    def etag(self) -> str:
        """Of this version."""
        return etags.of(self.version)

    def update(self, now: datetime, etag: str, changes: Mapping[str, object]) -> "Preferences":
        """`changes`: new values by attribute. The preferences themselves if nothing changes. Raises `EtagMismatch` for a stale etag."""
        etags.require(etag, self.version)
        if all(getattr(self, name) == value for name, value in changes.items()):
            return self
        return replace(self, version=self.version + 1, updated_at=now, **changes)  # type: ignore[arg-type]

    def mutes(self, category: Category, channel: Channel) -> bool:
        """Whether the person wants none of it. What is critical cannot be muted."""
        return not category.is_critical and (category, channel) in self.muted

    def digest_due(self, category: Category, channel: Channel, now: datetime, zone: str) -> datetime | None:
        """When a digest that is begun now is sent: at the end of its window, or of the quiet hours that it ends in. What is
        critical is in none.
        """
        window = None if category.is_critical else self.digests.get((category, channel))
        if window is None:
            return None
        due = now + window
        quiet = self.quiet_hours
        return quiet.end_after(due, zone) if quiet is not None and quiet.includes(due, zone) else due

    def silences(self, category: Category, now: datetime, zone: str) -> bool:
        """Whether it is too late, or too early, to send. What is critical is sent at any time."""
        return not category.is_critical and self.quiet_hours is not None and self.quiet_hours.includes(now, zone)
