"""What users hear of their accounts."""

from weft.api.v1.event_pb2 import Event
from weft.user.v1.events_pb2 import UserInvited, UserSignedUp, UserVerified, VerificationRequested

from services.notification.observers.registry import Channel, Notice, observes

VERIFICATION = "user.verification"
"""The type whose mail goes to a pending sign-up: address, language and one-time code are asked for when it is sent."""
ACCOUNT_EXISTS = "user.sign_up_repeated"
"""The template of that mail where the address turns out to have an account."""

_MAIL = frozenset({Channel.EMAIL})


@observes("user.signed_up", UserSignedUp)
def mail_first_code(_: Event, fact: UserSignedUp) -> Notice | None:
    """Whoever asked for an account has to prove the address."""
    return _verification(fact.sign_up_id)


@observes("user.verification_requested", VerificationRequested)
def mail_new_code(_: Event, fact: VerificationRequested) -> Notice | None:
    """The code was lost or is too old."""
    return _verification(fact.sign_up_id)


@observes("user.invited", UserInvited)
def invite(event: Event, fact: UserInvited) -> Notice:
    """An operator has added a person, who is to choose a password."""
    return Notice(event.type, fact.user_id, fact.user_id, _MAIL)


@observes("user.verified", UserVerified)
def welcome(_: Event, fact: UserVerified) -> Notice:
    """The account is open."""
    return Notice("user.verified", fact.user_id, fact.user_id, frozenset({Channel.INBOX}))


def _verification(sign_up_id: str) -> Notice | None:
    # Nobody has an account yet, so the notice is no user's. The release before named a user here: whose code it was,
    # can ask for another one.
    return Notice(VERIFICATION, "", sign_up_id, _MAIL, {"sign_up_id": sign_up_id}) if sign_up_id else None
