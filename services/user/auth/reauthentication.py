"""What support may do to an account asks again who is calling: an access token may be stolen."""

from datetime import timedelta

from chassis.clock import Clock
from chassis.errors import Unauthenticated
from chassis.rpc.call import Call

MAX_AGE = timedelta(minutes=10)
"""Of a sign-in that counts as fresh."""


class ReauthenticationRequired(Unauthenticated):
    """The sign-in is older than ten minutes; sign in again."""


class Reauthentication:
    """Asks for a sign-in that is not long ago."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def by_age(self, call: Call) -> None:
        """Raise `ReauthenticationRequired` unless the caller has signed in within `MAX_AGE`, and not for an app of a partner's."""
        caller = call.caller
        oldest = (self._clock.now() - MAX_AGE).timestamp()
        if caller.client_id or caller.authenticated_at < oldest:
            raise ReauthenticationRequired()
