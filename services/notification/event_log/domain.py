"""An event of the log, and the body that a webhook has of it."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chassis.errors import NotFound


class EventNotFound(NotFound):
    """There is no event {event_id} in the last 30 days."""


@dataclass(frozen=True)
class LoggedEvent:
    """An event of a partner's. `data` is JSON, without personal data."""

    event_id: str
    partner_id: str
    mode: str
    type: str
    subject_id: str
    sequence: int
    user_id: str
    data: str
    occur_time: datetime


def body(event: LoggedEvent, *, thin: bool) -> bytes:
    """The body of a webhook: the JSON of `PartnerEvent`, whose names `type`, `timestamp` and `data` are Standard Webhooks'."""
    said: dict[str, Any] = {
        "eventId": event.event_id,
        "type": event.type,
        "timestamp": event.occur_time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "mode": f"MODE_{event.mode}",
        "subjectId": event.subject_id,
        "sequence": str(event.sequence),
        "userId": event.user_id,
    }
    if not thin:
        said["data"] = json.loads(event.data)
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
