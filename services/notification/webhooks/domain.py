"""When a delivery is attempted again, and when an endpoint is left alone or given up."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from chassis.errors import NotFound
from services.notification.channels.webhook.answer import Answer

PENDING, SUCCEEDED, FAILED = "PENDING", "SUCCEEDED", "FAILED"
RETRY_DELAYS_S = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h after the attempt before; some three days in all."""
_JITTER = (0.9, 1.1)
MAX_RETRY_AFTER_S = 86_400.0
"""A longer `Retry-After` counts as this."""
GIVE_UP_AFTER = timedelta(days=5)
BREAKER_FAILURES = 5
"""Failures of a receiver in a row after which it is left alone, and probed with one delivery at a time."""
_FIRST_PAUSE_S, _MAX_PAUSE_S = 5.0, 300.0


class WebhookDeliveryNotFound(NotFound):
    """The webhook endpoint has no delivery {delivery_id}."""


@dataclass(frozen=True)
class Next:
    """What follows from an attempt: the state, and seconds until the next one where it is PENDING."""

    state: str
    wait_s: float = 0.0


def after(answer: Answer, scheduled_attempts: int, scale: float) -> Next:
    """`scheduled_attempts` includes this one; `scale` multiplies the schedule."""
    if answer.succeeded:
        return Next(SUCCEEDED)
    if scheduled_attempts > len(RETRY_DELAYS_S) or answer.status == 410:
        return Next(FAILED)
    wait_s = RETRY_DELAYS_S[scheduled_attempts - 1] * scale * random.uniform(*_JITTER)  # noqa: S311
    return Next(PENDING, max(wait_s, min(answer.retry_after or 0.0, MAX_RETRY_AFTER_S)))


@dataclass
class Health:
    """How a receiver does. `failures` are its own, in a row; `failing_since` counts every attempt that was not accepted.

    This is the breaker of a lane, kept in its row: it holds whichever process sends. The chassis's is one of a process.
    """

    failures: int
    failing_since: datetime | None
    paused_s: float = 0.0
    gone: bool = False

    def saw(self, answer: Answer, now: datetime, scale: float) -> None:
        """Take an answer into account."""
        if answer.succeeded:
            self.failures, self.failing_since, self.paused_s = 0, None, 0.0
            return
        self.failing_since = self.failing_since or now
        self.gone = self.gone or answer.status == 410
        if not answer.unavailable:
            self.failures = 0
            return
        self.failures += 1
        doubled = _FIRST_PAUSE_S * 2.0 ** min(self.failures - BREAKER_FAILURES, 16)
        pause_s = min(doubled, _MAX_PAUSE_S) * scale if self.is_open else 0.0
        asked_s = min(answer.retry_after or 0.0, _MAX_PAUSE_S)
        self.paused_s = max(pause_s, asked_s)

    @property
    def is_open(self) -> bool:
        """Whether the receiver is to be left alone, and probed."""
        return self.failures >= BREAKER_FAILURES

    def is_given_up(self, now: datetime, scale: float) -> bool:
        """Whether every attempt has failed for too long."""
        return self.failing_since is not None and now - self.failing_since >= GIVE_UP_AFTER * scale
