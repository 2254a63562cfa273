"""Time, injected, so that expiry and backoff are tested without sleeping."""

from datetime import UTC, datetime, timedelta

from chassis.faults import catalogue, switches

FAULT_SKEW = timedelta(minutes=2)


class Clock:
    """The time of the machine.

    `sql` is how statements say the present: the database's own time, so that processes whose clocks differ agree on
    leases and due times.
    """

    sql = "now()"

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        now = datetime.now(UTC)
        return now + FAULT_SKEW if switches.on(catalogue.CLOCK_SKEW) else now


class FixedClock(Clock):
    """A clock that only moves when told to; for tests. Statements get its time as their parameter `now`."""

    sql = "%(now)s::timestamptz"

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        """The time that it was set to."""
        return self._now

    def advance(self, by: timedelta) -> None:
        """Move it forward."""
        self._now += by
