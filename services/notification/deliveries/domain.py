"""What a delivery is, and what an attempt makes of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any

from chassis.errors import FailedPrecondition, NotFound
from chassis.security.modes import LIVE
from services.notification.categories import Category
from services.notification.channels.outcome import Outcome, ProviderResponse


class DeliveryNotFound(NotFound):
    """There is no delivery {delivery_id}."""


class DeliveryNotRetriable(FailedPrecondition):
    """The delivery is {state}: only one that has failed, or was skipped for something that can change, is sent again."""


class DeliveryState(Enum):
    """ACCEPTED → SCHEDULED → QUEUED → SENDING → SENT → DELIVERED, or another end; see `weft.notification.v1.NotificationState`.

    In the order in which they stand for a notification of several deliveries.
    """

    SENDING = "SENDING"
    QUEUED = "QUEUED"
    SCHEDULED = "SCHEDULED"
    ACCEPTED = "ACCEPTED"
    DELIVERED = "DELIVERED"
    SENT = "SENT"
    BOUNCED = "BOUNCED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"


def rolled_up(states: Collection[DeliveryState]) -> DeliveryState:
    """The state of a notification: of what is under way, or else of what got furthest. In the inbox alone it is SENT."""
    return next((state for state in DeliveryState if state in states), DeliveryState.SENT)


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
    DUPLICATE = "DUPLICATE"
    NOT_NEEDED = "NOT_NEEDED"


_FINAL_SKIPS = frozenset({Reason.REQUEST_ENDED, Reason.TEST_MODE, Reason.DUPLICATE, Reason.NOT_NEEDED})


def check_retriable(state: DeliveryState, reason: str) -> None:
    """Raises `DeliveryNotRetriable`."""
    failed = state in (DeliveryState.FAILED, DeliveryState.BOUNCED)
    skipped = state is DeliveryState.SKIPPED and Reason(reason) not in _FINAL_SKIPS
    if not (failed or skipped):
        raise DeliveryNotRetriable(state=f"{state.value} ({reason})" if reason else state.value)


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
    partner_id: str = ""
    mode: str = LIVE
    expire_at: datetime | None = None
    falls_back: bool = False
    """Whether another channel is used where it is not sent."""
    content_sealed: bytes | None = None
    """Of a notification that was sent on request; that of an event has `data`."""
    maybe_sent_by: str = ""
    """The provider that may have sent it: its response was lost, or the worker died that waited for it."""
    template_id: str = ""
    template_version: int = 0
    subject_id: str = ""
    """What the event is about, such as an order."""
    digest_id: str = ""
    members: tuple["Delivery", ...] = ()
    """Of a digest, which stands for all of them, and goes out under the id of the first."""

    @property
    def job_key(self) -> str:
        """Of the job that it is sent by."""
        return self.digest_id if self.members else self.delivery_id


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
    digest_due: datetime | None = None
    """When the digest is sent that the delivery is put into."""

    @property
    def maybe_sent_by(self) -> str:
        """The provider whose response was lost; empty where none was."""
        return next((each.provider for each in reversed(self.responses) if each.outcome is Outcome.LOST), "")

    @property
    def ends_job(self) -> bool:
        """Whether its job has nothing more to do."""
        return self.is_final and self.state is not DeliveryState.FAILED

    @property
    def is_final(self) -> bool:
        """Whether nothing more is tried."""
        return self.state not in (DeliveryState.QUEUED, DeliveryState.SCHEDULED)


def skip(reason: Reason) -> DeliveryResult:
    """There is nothing to send."""
    return DeliveryResult(DeliveryState.SKIPPED, reason)


def collect(digest_due: datetime) -> DeliveryResult:
    """It is said in a digest."""
    return DeliveryResult(DeliveryState.SCHEDULED, digest_due=digest_due)


def expire() -> DeliveryResult:
    """It is of no use any more."""
    return DeliveryResult(DeliveryState.EXPIRED)


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
    """What the responses of one attempt, at least one, make of a delivery; the last one decides.

    But what the first provider may still send is not ended by the second one's refusal, whose settings may be at fault.
    """
    last = responses[-1]
    error = f"{last.code} {last.text}" if last.code else last.text
    if last.outcome is Outcome.ACCEPTED:
        result = DeliveryResult(DeliveryState.SENT)
    elif last.outcome is Outcome.REFUSED and responses[0].outcome is Outcome.DEFERRED:
        result = retry(error, attempts, max_attempts)
    elif last.outcome in _FINAL:
        result = fail(_FINAL[last.outcome], error)
    elif not any(each.submitted for each in responses):
        result = defer(error)
    else:
        result = retry(error, attempts, max_attempts)
    return replace(result, responses=tuple(responses))
