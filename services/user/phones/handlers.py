"""The RPCs of AuthService about phone numbers."""

from google.protobuf.empty_pb2 import Empty
from weft.user.v1 import phone_pb2 as pb

from chassis.rpc.call import Call
from services.user.phones.phones import Phones
from services.user.throttling.origins import Origins


class PhoneHandlers:
    """The part of weft.user.v1.AuthService about phone numbers."""

    def __init__(self, phones: Phones, origins: Origins) -> None:
        self._phones = phones
        self._origins = origins

    async def RequestPhoneVerification(self, request: pb.RequestPhoneVerificationRequest, call: Call) -> Empty:
        """Limits count the number, the user and the network."""
        await self._phones.request(call, request.phone, self._origins.of("", call))
        return Empty()

    async def ConfirmPhone(self, request: pb.ConfirmPhoneRequest, call: Call) -> Empty:
        """Five attempts for each code."""
        await self._phones.confirm(call, request.code)
        return Empty()
