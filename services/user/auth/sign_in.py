"""Signing in: a password, and a second factor where the account has one."""

from chassis.rpc.call import Call
from services.user.keys.authentication import PASSWORD
from services.user.passkeys.passkeys import Passkeys
from services.user.passwords.passwords import Passwords
from services.user.sessions.domain import CredentialsInvalid
from services.user.sessions.sessions import Sessions, TokenPair
from services.user.throttling.attempts import AttemptLimiter
from services.user.throttling.origins import Origin, Origins
from services.user.totp.domain import FACTORS, SecondFactor, SecondFactorRequired
from services.user.totp.totp import Totp
from services.user.users.domain import User
from services.user.users.repository import UserRepository


class SignIn:
    """Opens sessions."""

    def __init__(
        self,
        users: UserRepository,
        passwords: Passwords,
        attempts: AttemptLimiter,
        totp: Totp,
        sessions: Sessions,
        passkeys: Passkeys,
        origins: Origins,
    ) -> None:
        """`attempts` slows down guessing of passwords."""
        self._users = users
        self._passwords = passwords
        self._attempts = attempts
        self._totp = totp
        self._sessions = sessions
        self._passkeys = passkeys
        self._origins = origins

    async def by_password(self, call: Call, email: str, password: str, second: SecondFactor) -> TokenPair:
        """Open a session. Raises `CredentialsInvalid` or `TooManyAttempts`, regardless of whether there is an account.

        With the right password also what `Totp.using` raises.
        """
        origin = self._origins.of(email, call)
        user = await self._identify(email, password, origin)
        try:
            async with self._totp.using(call, user, second, origin) as proven:
                # The user's row is locked now; what was verified may have changed meanwhile.
                if not await self._is_unchanged(proven.user, user, password):
                    raise CredentialsInvalid()
                opened = await self._sessions.begin(proven.tx, call, proven.user, (PASSWORD, *proven.methods))
        except SecondFactorRequired:
            if await self._passkeys.list(user.user_id):
                raise SecondFactorRequired(factors=f"{FACTORS}, passkey") from None
            raise
        return await self._sessions.issue(opened)

    async def _identify(self, email: str, password: str, origin: Origin) -> User:
        async with self._attempts.attempt(origin):
            user = await self._users.get_person(email)
            correct = await self._passwords.verify(user.password_hash if user else "", password)
            if user is None or not correct or not user.may_sign_in:
                raise CredentialsInvalid()
        if self._passwords.outdated(user.password_hash):
            await self._users.rehash_password(user, await self._passwords.hash(password))
        return user

    async def _is_unchanged(self, current: User, verified: User, password: str) -> bool:
        if current.password_hash == verified.password_hash:
            return True
        return await self._passwords.verify(current.password_hash, password)  # the same, with other parameters?
