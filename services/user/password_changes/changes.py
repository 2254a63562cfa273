"""Setting a new password: every session but the caller's ends in the same transaction, and no requested code works any more."""

from weft.user.v1 import events_pb2 as pb

from chassis.clock import Clock
from chassis.queues import outbox
from chassis.queues.outbox import Outbox
from chassis.rpc.call import Call
from chassis.storage.database import Database, Transaction
from services.user.audit.audit import Audit
from services.user.codes.codes import Codes
from services.user.codes.domain import CodeInvalid, Kind
from services.user.codes.repository import CodeRepository
from services.user.passwords.passwords import Passwords
from services.user.sessions.domain import CredentialsInvalid
from services.user.sessions.repository import SessionRepository
from services.user.throttling.origins import Origin
from services.user.users.domain import User
from services.user.users.repository import UserRepository

RESET = Kind.PASSWORD_RESET


class PasswordChanges:
    """Resets and changes passwords."""

    def __init__(
        self,
        database: Database,
        users: UserRepository,
        sessions: SessionRepository,
        passwords: Passwords,
        codes: Codes,
        requests: CodeRepository,
        events: Outbox,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._database = database
        self._users = users
        self._sessions = sessions
        self._passwords = passwords
        self._codes = codes
        self._requests = requests
        self._events = events
        self._audit = audit
        self._clock = clock

    async def request_reset(self, call: Call, email: str, origin: Origin) -> None:
        """Request a mail with a code. No account is read, so neither the response nor its duration can reveal one.

        Networks have requests of their own, so that a stranger's do not replace the code that the owner waits for. Raises
        `TooManyAttempts`.
        """
        request = self._codes.new(RESET, origin.pair, email)
        async with self._database.transaction() as tx:
            payload = pb.PasswordResetRequested()
            await self._codes.request(tx, call, request, "user.password_reset_requested", payload)

    async def reset(self, call: Call, email: str, code: str, password: str) -> None:
        """Set the password of the account with this address. Raises `CodeInvalid`."""
        found = await self._requests.find(RESET, email, code, self._clock.now())
        if found is None:
            raise CodeInvalid()
        password_hash = await self._passwords.hash(password)
        async with self._database.transaction() as tx:
            # The user's row comes first, as everywhere.
            user = await self._users.lock_person(tx, email)
            if user is None or not user.may_sign_in or not await self._requests.use(tx, found, self._clock.now()):
                raise CodeInvalid()
            await self._set(tx, call, user, password_hash, by_reset=True)

    async def change(self, call: Call, confirmed: User, password: str) -> None:
        """Set the password of the caller, who has just given the present one; the session goes on. Raises `CredentialsInvalid`."""
        password_hash = await self._passwords.hash(password)
        async with self._database.transaction() as tx:
            user = await self._users.lock(tx, confirmed.user_id)
            # Of two concurrent changes the second has confirmed a password that is not the present one any more.
            if user is None or not user.may_sign_in or user.password_hash != confirmed.password_hash:
                raise CredentialsInvalid()
            await self._set(tx, call, user, password_hash)

    async def _set(
        self, tx: Transaction, call: Call, user: User, password_hash: str, *, by_reset: bool = False
    ) -> None:
        """The session of the call goes on, if it has one; all others end."""
        await self._users.set_password(tx, user.user_id, password_hash)
        await self._sessions.end_others(tx, user.user_id, call.caller.session_id, self._clock.now())
        await self._requests.delete_all(tx, user.user_id, user.email)
        event = outbox.event(
            self._clock,
            type="user.password_changed",
            aggregate_id=user.user_id,
            sequence=await self._users.next_sequence(tx, user.user_id),
            payload=pb.PasswordChanged(user_id=user.user_id, by_reset=by_reset),
            actor=user.user_id,
            user_id=user.user_id,
        )
        await self._events.put(tx, event)
        action = "password.reset" if by_reset else "password.changed"
        await self._audit.record(tx, call, action, subject=user.user_id, fields=("password",), actor=user.user_id)
