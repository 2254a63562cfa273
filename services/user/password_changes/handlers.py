"""The RPCs of AuthService about passwords."""

from google.protobuf.empty_pb2 import Empty
from weft.user.v1 import password_pb2 as pb

from chassis.rpc.call import Call
from services.user.password_changes.changes import PasswordChanges
from services.user.password_changes.confirmation import PasswordConfirmation
from services.user.passwords.rules import refuse_weak
from services.user.throttling import pacing
from services.user.throttling.attempts import AttemptLimiter
from services.user.throttling.mail_budget import MailBudget
from services.user.throttling.origins import Origins
from services.user.users.domain import refuse_unmailable

MIN_RESPONSE_TIME_S = 0.03
"""More than a refused code takes."""


class PasswordHandlers:
    """The part of weft.user.v1.AuthService about passwords."""

    def __init__(
        self,
        changes: PasswordChanges,
        confirmation: PasswordConfirmation,
        origins: Origins,
        mails: MailBudget,
        attempts: AttemptLimiter,
    ) -> None:
        """`attempts` slows down guessing of codes."""
        self._changes = changes
        self._confirmation = confirmation
        self._origins = origins
        self._mails = mails
        self._attempts = attempts

    async def RequestPasswordReset(self, request: pb.RequestPasswordResetRequest, call: Call) -> Empty:
        """The same response, after the same work, whether or not the address has an account."""
        refuse_unmailable(request.email)
        origin = self._origins.of(request.email, call)
        await self._mails.spend(origin)
        await self._changes.request_reset(call, request.email, origin)
        return Empty()

    async def ResetPassword(self, request: pb.ResetPasswordRequest, call: Call) -> Empty:
        """A wrong address and a wrong code get the same response in the same time."""
        refuse_weak(request.new_password, "new_password", (request.email,))
        async with self._attempts.attempt(self._origins.of(request.email, call)), pacing.at_least(MIN_RESPONSE_TIME_S):
            await self._changes.reset(call, request.email, request.code, request.new_password)
        return Empty()

    async def ChangePassword(self, request: pb.ChangePasswordRequest, call: Call) -> Empty:
        """Ends every session but that of the call."""
        user = await self._confirmation.confirm(call, request.current_password)
        refuse_weak(request.new_password, "new_password", (user.email, user.display_name))
        await self._changes.change(call, user, request.new_password)
        return Empty()
