"""What changes how somebody signs in asks again who is calling: an access token may be stolen."""

from datetime import timedelta

from chassis.clock import Clock
from chassis.errors import Unauthenticated
from chassis.rpc.call import Call
from services.user.keys.authentication import MULTIPLE_FACTORS

MAX_AGE = timedelta(minutes=10)
"""Of a sign-in that counts as fresh."""


class ReauthenticationRequired(Unauthenticated):
    """The sign-in is too old or too weak for this; sign in again."""


class Reauthentication:
    """Asks for a sign-in that is not long ago."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def by_age(self, call: Call, *, two_factors: bool = False) -> None:
        """Raise `ReauthenticationRequired` unless the caller has signed in within `MAX_AGE`, and not for an app of a partner's.

        With `two_factors` a sign-in with the password alone is not enough.
        """
        caller = call.caller
        oldest = (self._clock.now() - MAX_AGE).timestamp()
        weak = two_factors and MULTIPLE_FACTORS not in caller.methods
        if caller.client_id or caller.authenticated_at < oldest or weak:
            raise ReauthenticationRequired()
