"""What users hear of their accounts."""

from weft.api.v1.event_pb2 import Event
from weft.user.v1.events_pb2 import SignUpRepeated, UserSignedUp, UserVerified, VerificationRequested

from services.notification.observers.registry import Channel, Notice, observes

VERIFICATION = "user.verification"
"""The type whose mail carries a one-time code, made when it is sent."""

_MAIL = frozenset({Channel.EMAIL})


@observes("user.signed_up", UserSignedUp)
def mail_first_code(_: Event, fact: UserSignedUp) -> Notice:
    """A new account has to prove its address."""
    return Notice(VERIFICATION, fact.user_id, fact.user_id, _MAIL)


@observes("user.verification_requested", VerificationRequested)
def mail_new_code(_: Event, fact: VerificationRequested) -> Notice:
    """The code was lost or is too old."""
    return Notice(VERIFICATION, fact.user_id, fact.user_id, _MAIL)


@observes("user.sign_up_repeated", SignUpRepeated)
def mail_of_existing_account(_: Event, fact: SignUpRepeated) -> Notice:
    """Only the address's owner learns that it has an account."""
    return Notice("user.sign_up_repeated", fact.user_id, fact.user_id, _MAIL)


@observes("user.verified", UserVerified)
def welcome(_: Event, fact: UserVerified) -> Notice:
    """The account is open."""
    return Notice("user.verified", fact.user_id, fact.user_id, frozenset({Channel.INBOX}))
