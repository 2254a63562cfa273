"""The RPCs of AuthService and UserService on one-time codes."""

from google.protobuf.empty_pb2 import Empty
from weft.user.v1 import totp_pb2 as pb

from chassis.rpc.call import Call
from chassis.times import timestamp
from services.user.auth.reauthentication import Reauthentication
from services.user.password_changes.confirmation import PasswordConfirmation
from services.user.throttling.origins import Origins
from services.user.totp.domain import SecondFactor
from services.user.totp.totp import Totp
from services.user.users.repository import UserRepository
from services.user.users.visible import get_visible


class TotpHandlers:
    """The part of weft.user.v1.AuthService about one-time codes: the caller's own."""

    def __init__(self, totp: Totp, confirmation: PasswordConfirmation, origins: Origins) -> None:
        self._totp = totp
        self._confirmation = confirmation
        self._origins = origins

    async def EnrollTotp(self, request: pb.EnrollTotpRequest, call: Call) -> pb.EnrollTotpResponse:
        """Needs the password, and a code where codes are enabled."""
        second = SecondFactor(request.totp_code, request.recovery_code)
        user = await self._confirmation.confirm(call, request.password)
        enrolment = await self._totp.enrol(call, user, second, self._origins.of(user.email, call))
        return pb.EnrollTotpResponse(
            secret=enrolment.secret,
            otpauth_uri=enrolment.uri,
            expire_time=timestamp(enrolment.expires_at),
        )

    async def ConfirmTotp(self, request: pb.ConfirmTotpRequest, call: Call) -> pb.ConfirmTotpResponse:
        """The session that has enrolled needs no password again."""
        return pb.ConfirmTotpResponse(recovery_codes=await self._totp.confirm(call, request.totp_code))

    async def DisableTotp(self, request: pb.DisableTotpRequest, call: Call) -> Empty:
        """Needs the password and a code."""
        second = SecondFactor(request.totp_code, request.recovery_code)
        user = await self._confirmation.confirm(call, request.password)
        await self._totp.disable(call, user, second, self._origins.of(user.email, call))
        return Empty()


class UserTotpHandlers:
    """The part of weft.user.v1.UserService about one-time codes: also of users whom support helps."""

    def __init__(self, users: UserRepository, totp: Totp, reauthentication: Reauthentication) -> None:
        self._users = users
        self._totp = totp
        self._reauthentication = reauthentication

    async def GetTotp(self, request: pb.GetTotpRequest, call: Call) -> pb.Totp:
        """Users see their own, operators all."""
        user_id = (await get_visible(self._users, request.user_id, call.caller)).user_id
        factor = await self._totp.get(user_id)
        if factor is None:
            return pb.Totp(user_id=user_id)
        return pb.Totp(
            user_id=user_id,
            enabled=True,
            remaining_recovery_codes=factor.remaining,
            enable_time=timestamp(factor.created_at),
        )

    async def DeleteTotp(self, request: pb.DeleteTotpRequest, call: Call) -> Empty:
        """By an operator who has just signed in."""
        self._reauthentication.by_age(call)
        user = await get_visible(self._users, request.user_id, call.caller)
        await self._totp.remove(call, user.user_id)
        return Empty()
