"""What a delivery is, and what an attempt to send makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any


class DeliveryState(Enum):
    """Where a delivery stands."""

    QUEUED = "QUEUED"
    SENDING = "SENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


class Reason(Enum):
    """Why a delivery failed or was skipped."""

    NONE = ""
    NO_ADDRESS = "NO_ADDRESS"
    SIGN_UP_ENDED = "SIGN_UP_ENDED"
    ADDRESS_UNUSABLE = "ADDRESS_UNUSABLE"
    REFUSED = "REFUSED"
    TRIED_TOO_OFTEN = "TRIED_TOO_OFTEN"


@dataclass(frozen=True)
class Delivery:
    """A delivery that is claimed, with what its mail is made of."""

    delivery_id: str
    user_id: str
    type: str
    facts: Mapping[str, Any]
    create_time: datetime


class Outcome(Enum):
    """What an attempt came to. LOST: the server may have it, its answer never came."""

    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    DEFERRED = "DEFERRED"
    LOST = "LOST"


@dataclass(frozen=True)
class Answer:
    """How a provider answered; `code` is the provider's own, 0 where none came. `text` holds no address.

    `serving` is false where the way to the provider failed, rather than this message; `presented` where the provider was
    not even shown the message.
    """

    outcome: Outcome
    code: int
    text: str
    latency_ms: int
    serving: bool = True
    presented: bool = True


@dataclass(frozen=True)
class Verdict:
    """What becomes of a delivery. `error` says why it is tried again, or not any more.

    `deferred` where the attempt does not count: what all deliveries need is away.
    """

    state: DeliveryState
    reason: Reason = Reason.NONE
    error: str = ""
    deferred: bool = False


SENT = Verdict(DeliveryState.SENT)


def skipped(reason: Reason) -> Verdict:
    """Nothing is to be sent, for good."""
    return Verdict(DeliveryState.SKIPPED, reason)


def failed(reason: Reason, error: str) -> Verdict:
    """It will not be sent, for good."""
    return Verdict(DeliveryState.FAILED, reason, error)


def deferred(error: str) -> Verdict:
    """Try again as soon as what all deliveries need is back."""
    return Verdict(DeliveryState.QUEUED, Reason.NONE, error, deferred=True)


def unsent(error: str, tries: int, limit: int) -> Verdict:
    """Try again, or give up after `limit` tries."""
    if tries >= limit:
        return failed(Reason.TRIED_TOO_OFTEN, error)
    return Verdict(DeliveryState.QUEUED, Reason.NONE, error)


def judge(answer: Answer, tries: int, limit: int) -> Verdict:
    """What an answer makes of a delivery that was tried so often."""
    if answer.outcome is Outcome.ACCEPTED:
        return SENT
    said = f"{answer.code} {answer.text}" if answer.code else answer.text
    if answer.outcome is Outcome.REFUSED:
        return failed(Reason.REFUSED, said)
    if not answer.presented:
        return deferred(said)
    return unsent(said, tries, limit)
