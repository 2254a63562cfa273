"""Notifications of people whose account was closed, locked or opened by somebody else. Partners tell their own customers."""

from weft.api.v1.event_pb2 import Event
from weft.user.v1.events_pb2 import UserDeactivated, UserLocked, UserReactivated, UserUnlocked

from services.notification.channels.channel import EVERYWHERE
from services.notification.notifications.notification import Notification
from services.notification.observers.registry import observes


@observes("user.deactivated", UserDeactivated)
def notify_user_deactivated(event: Event, payload: UserDeactivated) -> Notification | None:
    """Signed out, and why not to try again."""
    return _notification(event, payload.user_id, payload.of_partner)


@observes("user.reactivated", UserReactivated)
def notify_user_reactivated(event: Event, payload: UserReactivated) -> Notification | None:
    """Open again."""
    return _notification(event, payload.user_id, payload.of_partner)


@observes("user.locked", UserLocked)
def notify_user_locked(event: Event, payload: UserLocked) -> Notification | None:
    """Signed out, and whom to ask."""
    return _notification(event, payload.user_id, payload.of_partner)


@observes("user.unlocked", UserUnlocked)
def notify_user_unlocked(event: Event, payload: UserUnlocked) -> Notification | None:
    """Open again."""
    return _notification(event, payload.user_id, payload.of_partner)


def _notification(event: Event, user_id: str, of_partner: bool) -> Notification | None:
    return None if of_partner else Notification(event.type, user_id, user_id, EVERYWHERE)
