"""What a delivery is, and what an attempt makes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any

from services.notification.categories import Category
from services.notification.channels.outcome import Outcome, ProviderResponse


class DeliveryState(Enum):
    """QUEUED → SENDING → SENT, FAILED, SKIPPED, or QUEUED again."""

    QUEUED = "QUEUED"
    SENDING = "SENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


class Reason(Enum):
    """Why a delivery failed or was skipped."""

    NONE = ""
    NO_ADDRESS = "NO_ADDRESS"
    REQUEST_ENDED = "REQUEST_ENDED"
    ADDRESS_UNUSABLE = "ADDRESS_UNUSABLE"
    REFUSED = "REFUSED"
    OPTED_OUT = "OPTED_OUT"
    TOO_LONG = "TOO_LONG"
    NOT_CONFIGURED = "NOT_CONFIGURED"
    TOO_MANY_ATTEMPTS = "TOO_MANY_ATTEMPTS"
    TEST_MODE = "TEST_MODE"
    PREFERENCE = "PREFERENCE"
    QUIET_HOURS = "QUIET_HOURS"
    SUPPRESSED = "SUPPRESSED"


@dataclass(frozen=True)
class Delivery:
    """A delivery that is claimed under the lease of its job, with what its message is made of."""

    delivery_id: str
    lease: int
    user_id: str
    type: str
    data: Mapping[str, Any]
    create_time: datetime
    category: Category


@dataclass(frozen=True)
class DeliveryResult:
    """What an attempt made of a delivery. `error` says why it is retried or has failed.

    `deferred`: the attempt does not count, because what all deliveries need was away. `responses` are in order.
    """

    state: DeliveryState
    reason: Reason = Reason.NONE
    error: str = ""
    deferred: bool = False
    responses: tuple[ProviderResponse, ...] = ()


def skip(reason: Reason) -> DeliveryResult:
    """There is nothing to send."""
    return DeliveryResult(DeliveryState.SKIPPED, reason)


def fail(reason: Reason, error: str) -> DeliveryResult:
    """It cannot be sent."""
    return DeliveryResult(DeliveryState.FAILED, reason, error)


def defer(error: str) -> DeliveryResult:
    """Retry as soon as what all deliveries need is back."""
    return DeliveryResult(DeliveryState.QUEUED, Reason.NONE, error, deferred=True)


def retry(error: str, attempts: int, max_attempts: int) -> DeliveryResult:
    """Retry, or fail after the last attempt."""
    if attempts >= max_attempts:
        return fail(Reason.TOO_MANY_ATTEMPTS, error)
    return DeliveryResult(DeliveryState.QUEUED, Reason.NONE, error)


_FINAL = {
    Outcome.REFUSED: Reason.REFUSED,
    Outcome.UNREACHABLE: Reason.ADDRESS_UNUSABLE,
    Outcome.OPTED_OUT: Reason.OPTED_OUT,
}


def result_of(responses: Sequence[ProviderResponse], attempts: int, max_attempts: int) -> DeliveryResult:
    """What the responses of one attempt, at least one, make of a delivery; the last one decides."""
    last = responses[-1]
    error = f"{last.code} {last.text}" if last.code else last.text
    if last.outcome is Outcome.ACCEPTED:
        result = DeliveryResult(DeliveryState.SENT)
    elif last.outcome in _FINAL:
        result = fail(_FINAL[last.outcome], error)
    elif not last.submitted:
        result = defer(error)
    else:
        result = retry(error, attempts, max_attempts)
    return replace(result, responses=tuple(responses))
