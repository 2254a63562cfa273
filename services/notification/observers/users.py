"""Notifications of users about their accounts."""

from weft.api.v1.event_pb2 import Event
from weft.user.v1.events_pb2 import (
    EmailChanged,
    EmailChangeRequested,
    MemberInvited,
    PasswordChanged,
    PasswordResetRequested,
    PhoneVerificationRequested,
    PhoneVerified,
    UserInvited,
    UserSignedUp,
    UserVerified,
    VerificationRequested,
)

from services.notification.channels.channel import EVERYWHERE, Channel
from services.notification.notifications.notification import Notification
from services.notification.observers.registry import observes

# Types about a one-time code: address, language and code are requested when the message is sent.
VERIFICATION = "user.verification"
PASSWORD_RESET = "user.password_reset"  # noqa: S105 - no password
EMAIL_CHANGE = "user.email_change"
EMAIL_CHANGED = "user.email_changed"
"""Mailed to the former address, which only the user service knows."""
PHONE_VERIFICATION = "user.phone_verification"
INVITATION = "partner.invitation"

_EMAIL = frozenset({Channel.EMAIL})
_INBOX = frozenset({Channel.INBOX})
_SMS = frozenset({Channel.SMS})


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


@observes("user.password_reset_requested", PasswordResetRequested)
def notify_user_password_reset_requested(_: Event, payload: PasswordResetRequested) -> Notification:
    """Whether the address has an account is asked when the mail is sent."""
    request_id = payload.code_request_id
    return Notification(PASSWORD_RESET, "", request_id, _EMAIL, {"code_request_id": request_id})


@observes("user.password_changed", PasswordChanged)
def notify_user_password_changed(event: Event, payload: PasswordChanged) -> Notification:
    """A warning, if it was somebody else."""
    return Notification(event.type, payload.user_id, payload.user_id, EVERYWHERE, {"by_reset": payload.by_reset})


@observes("user.email_change_requested", EmailChangeRequested)
def notify_user_email_change_requested(_: Event, payload: EmailChangeRequested) -> Notification:
    """To the new address, which proves itself by the code."""
    request_id = payload.code_request_id
    return Notification(EMAIL_CHANGE, "", request_id, _EMAIL, {"code_request_id": request_id})


@observes("user.email_changed", EmailChanged)
def notify_user_email_changed(_: Event, payload: EmailChanged) -> Notification:
    """To the former address: a warning, if it was somebody else."""
    data = {"code_request_id": payload.code_request_id}
    return Notification(EMAIL_CHANGED, payload.user_id, payload.user_id, EVERYWHERE, data)


@observes("user.phone_verification_requested", PhoneVerificationRequested)
def notify_user_phone_verification_requested(_: Event, payload: PhoneVerificationRequested) -> Notification:
    """To the number, which proves itself by the code."""
    request_id = payload.code_request_id
    return Notification(PHONE_VERIFICATION, "", request_id, _SMS, {"code_request_id": request_id})


@observes("user.phone_verified", PhoneVerified)
def notify_user_phone_verified(event: Event, payload: PhoneVerified) -> Notification:
    """A warning, if it was somebody else."""
    return Notification(event.type, payload.user_id, payload.user_id, EVERYWHERE)


@observes("partner.member_invited", MemberInvited)
def notify_partner_member_invited(_: Event, payload: MemberInvited) -> Notification:
    """To the address that was invited, which accepts with the code."""
    request_id = payload.code_request_id
    return Notification(INVITATION, "", request_id, _EMAIL, {"code_request_id": request_id})


def _verification(sign_up_id: str) -> Notification | None:
    # Nobody has an account yet, so the notification belongs to no user. An event of an older release names no sign-up:
    # its person can request another code.
    if not sign_up_id:
        return None
    return Notification(VERIFICATION, "", sign_up_id, _EMAIL, {"sign_up_id": sign_up_id})
