"""Notifications of users about their accounts."""

from weft.api.v1.event_pb2 import Event
from weft.user.v1.events_pb2 import UserInvited, UserSignedUp, UserVerified, VerificationRequested

from services.notification.channels.channel import Channel
from services.notification.notifications.notification import Notification
from services.notification.observers.registry import observes

VERIFICATION = "user.verification"
"""The type that is mailed to a pending sign-up: address, language and one-time code are requested when it is sent."""
ACCOUNT_EXISTS = "user.sign_up_repeated"
"""The template of that mail where the address already has an account."""

_EMAIL = frozenset({Channel.EMAIL})
_INBOX = frozenset({Channel.INBOX})


@observes("user.signed_up", UserSignedUp)
def notify_user_signed_up(_: Event, payload: UserSignedUp) -> Notification | None:
    """Whoever signs up has to prove the address."""
    return _verification(payload.sign_up_id)


@observes("user.verification_requested", VerificationRequested)
def notify_user_verification_requested(_: Event, payload: VerificationRequested) -> Notification | None:
    """The code was lost or has expired."""
    return _verification(payload.sign_up_id)


@observes("user.invited", UserInvited)
def notify_user_invited(event: Event, payload: UserInvited) -> Notification:
    """An operator has added a person, who has yet to choose a password."""
    return Notification(event.type, payload.user_id, payload.user_id, _EMAIL)


@observes("user.verified", UserVerified)
def notify_user_verified(event: Event, payload: UserVerified) -> Notification:
    """The account is open."""
    return Notification(event.type, payload.user_id, payload.user_id, _INBOX)


def _verification(sign_up_id: str) -> Notification | None:
    # Nobody has an account yet, so the notification belongs to no user. An event of an older release names no sign-up:
    # its person can request another code.
    if not sign_up_id:
        return None
    return Notification(VERIFICATION, "", sign_up_id, _EMAIL, {"sign_up_id": sign_up_id})
