"""Recipients, looked up in the user service when a mail is sent."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from weft.user.v1.user_pb2 import User
from weft_client import errors
from weft_client.calls.breaker import Breaker, BreakerOpen
from weft_internal import InternalWeft


class UserServiceUnavailable(Exception):
    """The user service answers nobody."""


class CodeNotIssued(Exception):
    """The user service has issued no code for this sign-up; others may get theirs."""


class SignUpEnded(Exception):
    """The sign-up was completed or has expired."""


class SignUp(NamedTuple):
    """The recipient of a sign-up's mail. `code` is empty where the address already has an account."""

    email: str
    locale: str
    code: str
    expire_time: datetime


class Recipients:
    """Asks the user service; stores nothing."""

    def __init__(self, clients: InternalWeft) -> None:
        self._clients = clients
        self.breaker = Breaker("recipients", failures=1, first_pause_s=0.5)
        """Of the look-ups, which nearly every mail needs: while it is open, mails may wait together."""
        self._code_breaker = Breaker("verification_codes", failures=3, first_pause_s=0.5)
        self._last_without_code = ""

    async def get(self, user_ids: Iterable[str]) -> dict[str, User]:
        """Those that exist, by id. Raises `UserServiceUnavailable`."""
        try:
            self.breaker.acquire()
        except BreakerOpen:
            raise UserServiceUnavailable("user service: circuit breaker open") from None
        try:
            reply = await self._clients.users.batch_get_users(user_ids=sorted(user_ids))
        except errors.WeftError as error:
            self.breaker.failed()
            raise UserServiceUnavailable(_cause(error)) from None
        except BaseException:
            self.breaker.cancelled()
            raise
        self.breaker.succeeded()
        return {user.user_id: user for user in reply.users}

    async def issue_code(self, sign_up_id: str) -> SignUp:
        """A new verification code; earlier ones stop working.

        Raises `SignUpEnded`, `UserServiceUnavailable` and `CodeNotIssued`.
        """
        try:
            self._code_breaker.acquire()
        except BreakerOpen:
            raise UserServiceUnavailable("user service: circuit breaker open") from None
        try:
            reply = await self._clients.auth.issue_verification_code(sign_up_id=sign_up_id)
        except errors.SignUpNotFound:
            self._code_breaker.succeeded()
            raise SignUpEnded from None
        except (errors.Unavailable, errors.DeadlineExceeded) as error:
            self._code_failed(sign_up_id)
            # A call that takes too long may be this sign-up's own fault, so it counts as an attempt of its mail.
            late = isinstance(error, errors.DeadlineExceeded)
            raise (CodeNotIssued if late else UserServiceUnavailable)(_cause(error)) from None
        except errors.WeftError as error:
            self._code_breaker.cancelled()
            raise CodeNotIssued(_cause(error)) from None
        except BaseException:
            self._code_breaker.cancelled()
            raise
        self._code_breaker.succeeded()
        return SignUp(reply.email, reply.locale, reply.code, reply.expire_time.ToDatetime(UTC))

    def _code_failed(self, sign_up_id: str) -> None:
        """One sign-up that fails again and again does not open the breaker; different ones in a row do."""
        if sign_up_id == self._last_without_code:
            self._code_breaker.cancelled()
        else:
            self._last_without_code = sign_up_id
            self._code_breaker.failed()


def _cause(error: errors.WeftError) -> str:
    return f"user service: {error.reason or error.code.name}"
