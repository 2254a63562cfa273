"""AuthService: how people come in."""

from google.protobuf.empty_pb2 import Empty
from weft.user.v1 import auth_service_pb2 as pb

from services.chassis.call import Call
from services.chassis.vault import Vault
from services.user.auth import pace
from services.user.auth.accounts import Accounts
from services.user.auth.sessions import Sessions, Tokens
from services.user.auth.tries import Origin, network
from services.user.passwords import Passwords, refuse_common
from services.user.users.domain import fold

ALIKE = 0.03
"""Seconds: more than the statements take that an unknown address spares."""


class AuthHandlers:
    """One method for each RPC, in the proto's order."""

    def __init__(self, accounts: Accounts, sessions: Sessions, passwords: Passwords, vault: Vault) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._passwords = passwords
        self._vault = vault

    async def SignUp(self, request: pb.SignUpRequest, call: Call) -> Empty:
        """The same answer, after the same work, whether or not the address is taken."""
        refuse_common(request.password)
        password_hash = await self._passwords.hash(request.password)
        await self._accounts.sign_up(request.email, request.display_name, password_hash, call.caller.actor)
        return Empty()

    async def VerifyEmail(self, request: pb.VerifyEmailRequest, call: Call) -> Empty:
        """A wrong address and a wrong code take the same time."""
        async with pace.at_least(ALIKE):
            await self._accounts.verify(request.email, request.code, call.caller.actor)
        return Empty()

    async def ResendVerification(self, request: pb.ResendVerificationRequest, call: Call) -> Empty:
        """The same answer, in the same time, whether or not the address waits for a mail."""
        async with pace.at_least(ALIKE):
            await self._accounts.request_verification(request.email, call.caller.actor)
        return Empty()

    async def SignIn(self, request: pb.SignInRequest, call: Call) -> pb.TokenPair:
        """Failed tries back off; see `tries`."""
        return _pair(await self._sessions.open(request.email, request.password, self._origin(request.email, call)))

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
        code, expires_at = await self._accounts.issue_code(request.user_id)
        reply = pb.IssueVerificationCodeResponse(code=code)
        reply.expire_time.FromDatetime(expires_at)
        return reply

    def _origin(self, email: str, call: Call) -> Origin:
        # Hashed, so that the cache holds no addresses.
        account = self._vault.lookup(fold(email), "tries.account").hex()[:32]
        address = self._vault.lookup(network(caller_address(call)), "tries.address").hex()[:32]
        return Origin(account, address)


def caller_address(call: Call) -> str:
    """The network address of the outside caller, as the edge writes it anew on each request; else the peer's own."""
    for name, value in call.context.invocation_metadata() or ():
        if name == "x-envoy-external-address":
            return str(value)
    kind, _, rest = call.context.peer().partition(":")
    return rest.rpartition(":")[0].strip("[]").replace("%5B", "").replace("%5D", "") if kind.startswith("ipv") else ""


def _pair(tokens: Tokens) -> pb.TokenPair:
    pair = pb.TokenPair(access_token=tokens.access.value, refresh_token=tokens.refresh, user_id=tokens.user_id)
    pair.access_token_expire_time.FromDatetime(tokens.access.expires_at)
    return pair
