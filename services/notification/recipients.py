"""Recipients, as the user service knows them at this moment."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from weft.user.v1.user_pb2 import User
from weft_client import errors
from weft_internal import InternalWeft

from services.notification.deliveries.domain import Reason


class Unreachable(Exception):
    """The user service does not answer as it should; later it may."""


class Away(Unreachable):
    """The user service does not answer at all, to nobody."""


class NothingToSend(Exception):
    """The mail has lost its purpose, for a `Reason`."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class SignUp(NamedTuple):
    """Whom a sign-up's mail goes to, and its one-time code: empty where the address has an account."""

    email: str
    locale: str
    code: str
    expires: datetime


class Recipients:
    """Asks the user service; keeps nothing."""

    def __init__(self, clients: InternalWeft) -> None:
        self._clients = clients

    async def look_up(self, user_ids: Iterable[str]) -> dict[str, User]:
        """Those that exist, by id. Raises `Unreachable`."""
        try:
            reply = await self._clients.users.batch_get_users(user_ids=sorted(user_ids))
        except errors.WeftError as error:
            raise Unreachable(_cause(error)) from None
        return {user.user_id: user for user in reply.users}

    async def issue_code(self, sign_up_id: str) -> SignUp:
        """A fresh verification code; those before stop working. Raises `NothingToSend`, `Away` and `Unreachable`."""
        try:
            reply = await self._clients.auth.issue_verification_code(sign_up_id=sign_up_id)
        except errors.SignUpNotFound:
            raise NothingToSend(Reason.SIGN_UP_ENDED) from None
        except (errors.Unavailable, errors.DeadlineExceeded) as error:
            raise Away(_cause(error)) from None
        except errors.WeftError as error:
            raise Unreachable(_cause(error)) from None
        return SignUp(reply.email, reply.locale, reply.code, reply.expire_time.ToDatetime(UTC))


def _cause(error: errors.WeftError) -> str:
    return f"user service: {error.reason or error.code.name}"
