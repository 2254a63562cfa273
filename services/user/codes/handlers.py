"""The RPC of AuthService with which codes are made."""

from weft.user.v1 import one_time_code_pb2 as pb

from chassis.rpc.call import Call
from chassis.times import timestamp
from services.user.codes.codes import Codes


class CodeHandlers:
    """The part of weft.user.v1.AuthService that issues codes."""

    def __init__(self, codes: Codes) -> None:
        self._codes = codes

    async def IssueOneTimeCode(self, request: pb.IssueOneTimeCodeRequest, _: Call) -> pb.IssueOneTimeCodeResponse:
        """For the message that is about to be sent."""
        issued = await self._codes.issue(request.code_request_id)
        return pb.IssueOneTimeCodeResponse(
            message=pb.CodeMessage.Value(f"CODE_MESSAGE_{issued.message.value}"),
            code=issued.code,
            email=issued.email,
            phone=issued.phone,
            locale=issued.locale,
            partner_name=issued.partner_name,
            expire_time=timestamp(issued.expires_at),
        )
