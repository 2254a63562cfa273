"""The password, asked again of a signed-in user: an access token that was stolen must not be enough to take an account over."""

from chassis.rpc.call import Call
from services.user.passwords.passwords import Passwords
from services.user.sessions.domain import CredentialsInvalid
from services.user.throttling.attempts import AttemptLimiter
from services.user.throttling.origins import Origins
from services.user.users.domain import User
from services.user.users.repository import UserRepository


class PasswordConfirmation:
    """Verifies the password of the user who calls."""

    def __init__(self, users: UserRepository, passwords: Passwords, origins: Origins, attempts: AttemptLimiter) -> None:
        """`attempts` are those of sign-in, so that guesses add up wherever they are made."""
        self._users = users
        self._passwords = passwords
        self._origins = origins
        self._attempts = attempts

    async def confirm(self, call: Call, password: str) -> User:
        """The caller, with the password's hash. Raises `CredentialsInvalid` or `TooManyAttempts`."""
        user = await self._users.get(call.caller.user_id)
        if user is None or not user.may_sign_in:  # since the token was issued
            raise CredentialsInvalid()
        async with self._attempts.attempt(self._origins.of(user.email, call)):
            if not await self._passwords.verify(user.password_hash, password):
                raise CredentialsInvalid()
        return user
