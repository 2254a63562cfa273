"""Which deliveries of a notification start now."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from chassis.security.modes import TEST
from services.notification.channels.channel import Channel
from services.notification.deliveries.domain import DeliveryState, Reason

WAITING = (DeliveryState.ACCEPTED, DeliveryState.SCHEDULED)
_REACHED = (DeliveryState.SENT, DeliveryState.DELIVERED)
_UNDER_WAY = (DeliveryState.QUEUED, DeliveryState.SENDING)


@dataclass(frozen=True)
class Part:
    """A delivery of a notification."""

    delivery_id: str
    channel: Channel
    state: DeliveryState
    reason: Reason = Reason.NONE


@dataclass(frozen=True)
class Dispatch:
    """A notification with its deliveries, in order of preference."""

    notification_id: str
    user_id: str
    mode: str
    every_channel: bool
    expire_at: datetime | None
    inbox_is_muted: bool
    parts: Sequence[Part]

    def next(self, now: datetime) -> Iterator[Part]:
        """The deliveries that change, as they are afterwards. The same again if nothing was stored.

        Without `every_channel` a channel waits for the one before: it starts where that one has failed or was skipped, and is
        not needed where it was sent.
        """
        reached = False
        for part in self.parts:
            after = part
            if part.state in WAITING:
                skipped = Part(part.delivery_id, part.channel, DeliveryState.SKIPPED, Reason.NOT_NEEDED)
                after = skipped if reached else self._started(part, now)
                yield after
            if self.every_channel:
                continue
            reached = reached or after.state in _REACHED or after.reason is Reason.TEST_MODE
            if after.state in _UNDER_WAY:
                return

    def _started(self, part: Part, now: datetime) -> Part:
        state, reason = DeliveryState.QUEUED, Reason.NONE
        if self.expire_at is not None and self.expire_at <= now:
            state = DeliveryState.EXPIRED
        elif self.mode == TEST:
            state, reason = DeliveryState.SKIPPED, Reason.TEST_MODE
        elif part.channel is Channel.INBOX:
            state = DeliveryState.SENT
            if not self.user_id:
                state, reason = DeliveryState.SKIPPED, Reason.NO_ADDRESS
            elif self.inbox_is_muted:
                state, reason = DeliveryState.SKIPPED, Reason.PREFERENCE
        return Part(part.delivery_id, part.channel, state, reason)
