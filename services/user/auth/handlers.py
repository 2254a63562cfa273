"""AuthService: how people come in."""

from google.protobuf.empty_pb2 import Empty
from weft.user.v1 import auth_service_pb2 as pb

from chassis.rpc.call import Call
from services.user.accounts.accounts import Accounts
from services.user.auth.mail_budget import MailBudget
from services.user.auth.origins import Origins
from services.user.passwords.passwords import refuse_common
from services.user.sessions import pacing
from services.user.sessions.attempts import Tries
from services.user.sessions.sessions import Sessions, Tokens
from services.user.users.domain import normal_locale, refuse_unmailable

ALIKE = 0.03
"""Seconds: more than the statements take that an unknown address spares."""


class AuthHandlers:
    """One method for each RPC, in the proto's order."""

    def __init__(
        self, accounts: Accounts, sessions: Sessions, origins: Origins, mails: MailBudget, proofs: Tries
    ) -> None:
        """`proofs` puts off who guesses codes."""
        self._accounts = accounts
        self._sessions = sessions
        self._origins = origins
        self._mails = mails
        self._proofs = proofs

    async def SignUp(self, request: pb.SignUpRequest, call: Call) -> Empty:
        """The same answer, after the same work, whether or not the address is taken."""
        refuse_unmailable(request.email)
        refuse_common(request.password)
        locale, origin = normal_locale(request.locale), self._origins.of(request.email, call)
        await self._mails.spend(origin)
        name, network = request.display_name, bytes.fromhex(origin.address)
        await self._accounts.sign_up(request.email, request.password, name, locale, network)
        return Empty()

    async def VerifyEmail(self, request: pb.VerifyEmailRequest, call: Call) -> Empty:
        """A wrong address, a wrong password and a wrong code take the same time."""
        async with self._proofs.one(self._origins.of(request.email, call)):
            password_hash = await self._accounts.hash(request.email, request.password)
            async with pacing.at_least(ALIKE):
                await self._accounts.verify(request.email, password_hash, request.code, call.caller.actor)
        return Empty()

    async def ResendVerification(self, request: pb.ResendVerificationRequest, call: Call) -> Empty:
        """The same answer, in the same time, whether or not a sign-up waits for a mail."""
        origin = self._origins.of(request.email, call)
        await self._mails.spend(origin)
        async with pacing.at_least(ALIKE):
            network = bytes.fromhex(origin.address)
            await self._accounts.request_verification(request.email, request.password, network)
        return Empty()

    async def SignIn(self, request: pb.SignInRequest, call: Call) -> pb.TokenPair:
        """Failed tries back off; see `tries`."""
        return _pair(await self._sessions.open(request.email, request.password, self._origins.of(request.email, call)))

    async def Refresh(self, request: pb.RefreshRequest, _: Call) -> pb.TokenPair:
        """The refresh token is used up."""
        return _pair(await self._sessions.refresh(request.refresh_token))

    async def SignOut(self, _: pb.SignOutRequest, call: Call) -> Empty:
        """The session of the access token that came with the call."""
        await self._sessions.end(call.caller.session_id)
        return Empty()

    async def IssueVerificationCode(
        self, request: pb.IssueVerificationCodeRequest, _: Call
    ) -> pb.IssueVerificationCodeResponse:
        """For the mail that is about to leave."""
        letter = await self._accounts.issue_code(request.sign_up_id)
        reply = pb.IssueVerificationCodeResponse(code=letter.code, email=letter.email, locale=letter.locale)
        if letter.expires_at is not None:
            reply.expire_time.FromDatetime(letter.expires_at)
        return reply


def _pair(tokens: Tokens) -> pb.TokenPair:
    pair = pb.TokenPair(access_token=tokens.access.value, refresh_token=tokens.refresh, user_id=tokens.user_id)
    pair.access_token_expire_time.FromDatetime(tokens.access.expires_at)
    return pair
