"""The RPCs of AuthService."""

from google.protobuf.empty_pb2 import Empty
from weft.user.v1 import auth_service_pb2 as pb

from chassis.errors import RequestInvalid
from chassis.rpc.call import Call
from chassis.security import modes
from chassis.times import timestamp
from services.user.accounts.accounts import Accounts
from services.user.auth.cookies import RefreshCookie
from services.user.auth.sign_in import SignIn
from services.user.passwords.rules import refuse_weak
from services.user.sessions.sessions import Sessions, TokenPair
from services.user.throttling import pacing
from services.user.throttling.attempts import AttemptLimiter
from services.user.throttling.mail_budget import MailBudget
from services.user.throttling.origins import Origins
from services.user.totp.domain import SecondFactor
from services.user.users.domain import normal_locale, refuse_unmailable

MIN_RESPONSE_TIME_S = 0.03
"""More than a refused verification takes."""
MIN_RESEND_TIME_S = 0.1
"""More than the transaction takes that is left out if there is no pending sign-up, also on a busy machine."""


class AuthHandlers:
    """weft.user.v1.AuthService."""

    def __init__(
        self,
        accounts: Accounts,
        sign_in: SignIn,
        sessions: Sessions,
        origins: Origins,
        mails: MailBudget,
        verifications: AttemptLimiter,
        cookie: RefreshCookie,
    ) -> None:
        """`verifications` slows down guessing of codes."""
        self._accounts = accounts
        self._sign_in = sign_in
        self._sessions = sessions
        self._origins = origins
        self._mails = mails
        self._verifications = verifications
        self._cookie = cookie

    async def SignUp(self, request: pb.SignUpRequest, call: Call) -> Empty:
        """The same response, after the same work, whether or not the address has an account."""
        refuse_unmailable(request.email)
        refuse_weak(request.password, "password", (request.email, request.display_name))
        locale, origin = normal_locale(request.locale), self._origins.of(request.email, call)
        await self._mails.spend(origin)
        name, network = request.display_name, bytes.fromhex(origin.address)
        await self._accounts.sign_up(call, request.email, request.password, name, locale, network)
        return Empty()

    async def VerifyEmail(self, request: pb.VerifyEmailRequest, call: Call) -> Empty:
        """A wrong address, a wrong password and a wrong code take the same time."""
        async with self._verifications.attempt(self._origins.of(request.email, call)):
            password_hash = await self._accounts.hash(request.email, request.password)
            async with pacing.at_least(MIN_RESPONSE_TIME_S):
                await self._accounts.verify(call, request.email, password_hash, request.code)
        return Empty()

    async def ResendVerification(self, request: pb.ResendVerificationRequest, call: Call) -> Empty:
        """The same response, in the same time, whether or not there is a pending sign-up."""
        origin = self._origins.of(request.email, call)
        await self._mails.spend(origin)
        # Not among what is paced: a hash takes most of that time, and all of it on a slow machine.
        password_hash = await self._accounts.hash(request.email, request.password) if request.password else ""
        async with pacing.at_least(MIN_RESEND_TIME_S):
            network = bytes.fromhex(origin.address)
            await self._accounts.request_verification(call, request.email, password_hash, network)
        return Empty()

    async def SignIn(self, request: pb.SignInRequest, call: Call) -> pb.TokenPair:
        """Failed attempts back off; see `throttling/attempts.py`."""
        second = SecondFactor(request.totp_code, request.recovery_code)
        tokens = await self._sign_in.by_password(call, request.email, request.password, second)
        return to_message(tokens, self._cookie.deliver(call, tokens.refresh, request.keep_in_cookie))

    async def Refresh(self, request: pb.RefreshRequest, call: Call) -> pb.TokenPair:
        """By the refresh token of the request, or else of the cookie; the new one goes where it came from."""
        kept = "" if request.refresh_token else self._cookie.read(call)
        if not kept and not request.refresh_token:
            raise RequestInvalid(violations=[("refresh_token", "must be given, here or in the cookie")])
        tokens = await self._sessions.refresh(
            call,
            kept or request.refresh_token,
            partner_id=request.partner_id,
            mode=modes.of_message(request.mode),
        )
        return to_message(tokens, self._cookie.deliver(call, tokens.refresh, bool(kept)))

    async def SignOut(self, _: pb.SignOutRequest, call: Call) -> Empty:
        """Ends the session of the call's access token."""
        await self._sessions.end(call)
        self._cookie.clear(call)
        return Empty()

    async def IssueVerificationCode(
        self, request: pb.IssueVerificationCodeRequest, _: Call
    ) -> pb.IssueVerificationCodeResponse:
        """For the mail that is about to be sent."""
        mail = await self._accounts.issue_code(request.sign_up_id)
        return pb.IssueVerificationCodeResponse(
            code=mail.code,
            email=mail.email,
            locale=mail.locale,
            expire_time=timestamp(mail.expires_at),
        )


def to_message(tokens: TokenPair, refresh_token: str) -> pb.TokenPair:
    """The message of a token pair; `refresh_token` is empty where it is in the cookie."""
    return pb.TokenPair(
        access_token=tokens.access.value,
        refresh_token=refresh_token,
        user_id=tokens.user_id,
        access_token_expire_time=timestamp(tokens.access.expires_at),
    )
