"""What an event says of a delivery, and what all events of a delivery make of it, in whatever order they came."""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from chassis.errors import InvalidArgument, NotFound
from services.notification.deliveries.domain import DeliveryState, Reason
from services.notification.suppressions.domain import SuppressionReason


class ProviderNotFound(NotFound):
    """Events of {provider} are not accepted."""


class EventSignatureInvalid(InvalidArgument):
    """The signature is missing, wrong or too old."""


class EventMalformed(InvalidArgument):
    """The body has no events."""


class Kind(Enum):
    """See `weft.notification.v1.DeliveryEventType`. Of two about one message the later one here is the end of it."""

    DELIVERED = "DELIVERED"
    SOFT_BOUNCE = "SOFT_BOUNCE"
    HARD_BOUNCE = "HARD_BOUNCE"
    OPTED_OUT = "OPTED_OUT"
    COMPLAINT = "COMPLAINT"


_RANK = {kind: rank for rank, kind in enumerate(Kind)}
_ARRIVED = frozenset({Kind.DELIVERED, Kind.COMPLAINT})
_REASONS = {
    Kind.SOFT_BOUNCE: Reason.REFUSED,
    Kind.HARD_BOUNCE: Reason.ADDRESS_UNUSABLE,
    Kind.OPTED_OUT: Reason.OPTED_OUT,
}
SUPPRESSED_BY: Mapping[Kind, SuppressionReason] = {
    Kind.HARD_BOUNCE: SuppressionReason.HARD_BOUNCE,
    Kind.OPTED_OUT: SuppressionReason.OPTED_OUT,
    Kind.COMPLAINT: SuppressionReason.COMPLAINT,
}
"""Why nothing more is sent to the address of an event."""
_UNSENT = frozenset({DeliveryState.ACCEPTED, DeliveryState.SCHEDULED})
_BOUNCING = frozenset({DeliveryState.SENDING, DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.BOUNCED})


class DeliveryEvent(NamedTuple):
    """`event_id` and `message_id` are the provider's. `address` is whom the message was for, empty where that is not said."""

    event_id: str
    delivery_id: str
    message_id: str
    kind: Kind
    code: int
    address: str


def end_of(
    state: DeliveryState, reason: Reason, events: Iterable[tuple[str, Kind]], *, repeated: bool
) -> tuple[DeliveryState, Reason]:
    """The state and reason of a delivery after events, each a message's id and what became of it.

    A delivery may have been several messages, where the answer to one was lost: it has arrived if one of them has. A bounce
    counts where the delivery stands as sent, or is being sent for the first time, and its event was faster than the answer:
    one that is under way again (`repeated`) or waits is decided by what follows.
    """
    ends: dict[str, Kind] = {}
    for message_id, kind in events:
        ends[message_id] = max(kind, ends.get(message_id, kind), key=_RANK.__getitem__)
    if state in _UNSENT or not ends:
        return state, reason
    if _ARRIVED & set(ends.values()):
        return DeliveryState.DELIVERED, Reason.NONE
    if state in _BOUNCING and not (repeated and state is DeliveryState.SENDING):
        return DeliveryState.BOUNCED, _REASONS[max(ends.values(), key=_RANK.__getitem__)]
    return state, reason
