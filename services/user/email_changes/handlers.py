"""The RPCs of AuthService about e-mail addresses."""

from google.protobuf.empty_pb2 import Empty
from weft.user.v1 import email_change_pb2 as pb

from chassis.rpc.call import Call
from services.user.email_changes.changes import EmailChanges
from services.user.password_changes.confirmation import PasswordConfirmation
from services.user.throttling.mail_budget import MailBudget
from services.user.throttling.origins import Origins
from services.user.users.domain import refuse_unmailable


class EmailHandlers:
    """The part of weft.user.v1.AuthService about changes of the address."""

    def __init__(
        self, changes: EmailChanges, confirmation: PasswordConfirmation, origins: Origins, mails: MailBudget
    ) -> None:
        self._changes = changes
        self._confirmation = confirmation
        self._origins = origins
        self._mails = mails

    async def RequestEmailChange(self, request: pb.RequestEmailChangeRequest, call: Call) -> Empty:
        """The same response, after the same work, whether or not the new address has an account."""
        refuse_unmailable(request.new_email, "new_email")
        user = await self._confirmation.confirm(call, request.current_password)
        await self._mails.spend(self._origins.of(request.new_email, call))
        await self._changes.request(call, user, request.new_email)
        return Empty()

    async def ConfirmEmailChange(self, request: pb.ConfirmEmailChangeRequest, call: Call) -> Empty:
        """Five attempts for each code."""
        await self._changes.confirm(call, request.code)
        return Empty()
