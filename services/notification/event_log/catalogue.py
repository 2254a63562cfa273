"""The events that partners are told of. What is not named here stays inside.

Their data is ids, states and amounts. Free text is left out: people write into it what is about them.
"""

import json
from collections.abc import Iterable, Mapping

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from weft.api.v1.event_pb2 import Event
from weft.order.v1 import events_pb2 as order
from weft.user.v1 import events_pb2 as user

TEST_EVENT = "webhook.test"
"""Sent on request, to see whether an endpoint works; never among what is subscribed to."""
DATA: Mapping[str, type[Message]] = {
    "order.placed": order.OrderPlaced,
    "order.confirmed": order.OrderConfirmed,
    "order.cancelled": order.OrderCancelled,
    "order.expired": order.OrderExpired,
    "order.shipped": order.OrderShipped,
    "order.delivered": order.OrderDelivered,
    "order.updated": order.OrderUpdated,
    "order.completed": order.OrderCompleted,
    "order.return_requested": order.OrderReturnRequested,
    "order.return_approved": order.OrderReturnApproved,
    "order.return_refused": order.OrderReturnRefused,
    "order.return_received": order.OrderReturnReceived,
    "payment.captured": order.PaymentCaptured,
    "payment.failed": order.PaymentFailed,
    "payment.refunded": order.PaymentRefunded,
    "payment.refund_failed": order.PaymentRefundFailed,
    "payment.action_required": order.PaymentActionRequired,
    "payment.charged_back": order.PaymentChargedBack,
    "payment.charge_back_reversed": order.PaymentChargeBackReversed,
    "user.verified": user.UserVerified,
    "user.updated": user.UserUpdated,
    "user.deactivated": user.UserDeactivated,
    "user.reactivated": user.UserReactivated,
    "user.locked": user.UserLocked,
    "user.unlocked": user.UserUnlocked,
    "user.erased": user.UserErased,
}
"""The type of the payload of each."""
_LEFT_OUT = {
    "order.cancelled": "reason",
    "payment.failed": "reason",
    "payment.refund_failed": "reason",
    "payment.action_required": "nextAction",
}
"""What is left out of each: free text, and the payer's own link."""


def is_published(event: Event) -> bool:
    """Whether an event is one of a partner's, and of a type that partners receive."""
    return bool(event.partner_id) and event.type in DATA


def data_of(event: Event) -> str:
    """What an event says, as JSON of the API; `{}` where its payload is not what its type promises."""
    payload = DATA[event.type]()
    try:
        known = event.payload.Unpack(payload)
    except DecodeError:
        known = False
    if not known:
        return "{}"
    said = json_format.MessageToDict(payload, always_print_fields_with_no_presence=True)
    said.pop(_LEFT_OUT.get(event.type, ""), None)
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False)


def matching(filter: str) -> list[str]:
    """The types in the log that a filter lets through: a type, or a family such as `order.*`; none where it fits nothing."""
    return [name for name in (*DATA, TEST_EVENT) if filter in (name, f"{name.partition('.')[0]}.*")]


def unknown(filters: Iterable[str]) -> list[int]:
    """The places of filters that no event fits: neither a type nor a family such as `order.*`."""
    families = {f"{name.partition('.')[0]}.*" for name in DATA}
    return [place for place, each in enumerate(filters) if each not in DATA and each not in families]


def wants(filters: Iterable[str], event_type: str) -> bool:
    """Whether filters let an event through; no filter lets every one."""
    named = set(filters)
    return not named or event_type in named or f"{event_type.partition('.')[0]}.*" in named
