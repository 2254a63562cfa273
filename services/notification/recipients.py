"""Recipients, looked up in the user service when a mail is sent."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from weft.user.v1.one_time_code_pb2 import CODE_MESSAGE_ADDRESS_TAKEN, CODE_MESSAGE_CODE, CodeMessage
from weft.user.v1.user_pb2 import User
from weft_client import errors
from weft_client.calls.breaker import Breaker, BreakerOpen
from weft_internal import InternalWeft

from chassis.errors import ServiceUnavailable
from chassis.security import modes


class UserServiceUnavailable(Exception):
    """The user service answers nobody."""


class CodeNotIssued(Exception):
    """The user service has issued no code for this request; others may get theirs."""


class RequestEnded(Exception):
    """The request of a code was completed or has expired."""


class IssuedCode(NamedTuple):
    """The recipient of a message about a one-time code: an e-mail address or a phone number. `message` says what it is about.

    `code` is empty where the message has none.
    """

    message: "CodeMessage.ValueType"
    email: str
    phone: str
    locale: str
    code: str
    expire_time: datetime
    partner_name: str = ""


class Recipients:
    """Asks the user service; stores nothing."""

    def __init__(self, clients: InternalWeft) -> None:
        self._clients = clients
        self.breaker = Breaker("recipients", failures=1, first_pause_s=0.5)
        """Of the look-ups, which nearly every mail needs: while it is open, mails may wait together."""
        self._code_breaker = Breaker("verification_codes", failures=3, first_pause_s=0.5)
        self._last_without_code = ""

    async def look_up(self, user_ids: Iterable[str], timeout_s: float | None = None) -> dict[str, User]:
        """The same as `get` for a call, whose caller may be in a hurry: that holds up no mails. Raises `ServiceUnavailable`."""
        try:
            reply = await self._clients.users.batch_get_users(user_ids=sorted(user_ids), timeout=timeout_s)
        except errors.WeftError:
            raise ServiceUnavailable from None
        return {user.user_id: user for user in reply.users}

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

    async def issue_code(self, request_id: str) -> IssuedCode:
        """A new one-time code for a pending sign-up (`sgn_…`) or another request (`cod_…`); earlier ones stop working.

        Raises `RequestEnded`, `UserServiceUnavailable` and `CodeNotIssued`.
        """
        try:
            self._code_breaker.acquire()
        except BreakerOpen:
            raise UserServiceUnavailable("user service: circuit breaker open") from None
        try:
            issued = await self._issue(request_id)
        except (errors.SignUpNotFound, errors.CodeRequestNotFound):
            self._code_breaker.succeeded()
            raise RequestEnded from None
        except (errors.Unavailable, errors.DeadlineExceeded) as error:
            self._code_failed(request_id)
            # A call that takes too long may be this request's own fault, so it counts as an attempt of its message.
            late = isinstance(error, errors.DeadlineExceeded)
            raise (CodeNotIssued if late else UserServiceUnavailable)(_cause(error)) from None
        except errors.WeftError as error:
            self._code_breaker.cancelled()
            raise CodeNotIssued(_cause(error)) from None
        except BaseException:
            self._code_breaker.cancelled()
            raise
        self._code_breaker.succeeded()
        return issued

    async def _issue(self, request_id: str) -> IssuedCode:
        if not request_id.startswith("sgn_"):
            reply = await self._clients.auth.issue_one_time_code(code_request_id=request_id)
            expires = reply.expire_time.ToDatetime(UTC)
            return IssuedCode(
                reply.message, reply.email, reply.phone, reply.locale, reply.code, expires, reply.partner_name
            )
        mail = await self._clients.auth.issue_verification_code(sign_up_id=request_id)
        message = CODE_MESSAGE_CODE if mail.code else CODE_MESSAGE_ADDRESS_TAKEN
        return IssuedCode(message, mail.email, "", mail.locale, mail.code, mail.expire_time.ToDatetime(UTC))

    def _code_failed(self, request_id: str) -> None:
        """One request that fails again and again does not open the breaker; different ones in a row do."""
        if request_id == self._last_without_code:
            self._code_breaker.cancelled()
        else:
            self._last_without_code = request_id
            self._code_breaker.failed()


def belongs(user: User, partner_id: str, mode: str) -> bool:
    """Whether a user is a partner's customer in a mode."""
    return (user.partner_id, modes.of_message(user.mode)) == (partner_id, mode)


def _cause(error: errors.WeftError) -> str:
    return f"user service: {error.reason or error.code.name}"
