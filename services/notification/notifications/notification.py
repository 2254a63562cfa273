"""What a notification is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from weft.api.v1.event_pb2 import Event

from services.notification.channels.channel import Channel


@dataclass(frozen=True)
class Notification:
    """Whom to notify of what. `type` names the template, `data` holds its variables: JSON, without personal data.

    `user_id` is empty where the recipient has no account yet.
    """

    type: str
    user_id: str
    subject_id: str
    channels: frozenset[Channel]
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NewNotification:
    """A notification to store: the event and the observer that it is unique by, and the `traceparent` of its deliveries."""

    event: Event
    observer: str
    notification: Notification
    traceparent: str
