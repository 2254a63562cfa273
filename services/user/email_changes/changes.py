"""Changing an address: the new one proves itself by a code, the former one is told."""

from weft.user.v1 import events_pb2 as pb

from chassis.clock import Clock
from chassis.queues import outbox
from chassis.queues.outbox import Outbox
from chassis.rpc.call import Call
from chassis.storage.database import Database
from services.user.audit.audit import Audit
from services.user.codes.codes import Codes
from services.user.codes.domain import CodeInvalid, Kind
from services.user.codes.repository import CodeRepository
from services.user.users.domain import User
from services.user.users.repository import UserRepository


class EmailChanges:
    """Changes addresses. Whether the new one is taken, only its mail tells."""

    def __init__(
        self,
        database: Database,
        users: UserRepository,
        codes: Codes,
        requests: CodeRepository,
        events: Outbox,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._database = database
        self._users = users
        self._codes = codes
        self._requests = requests
        self._events = events
        self._audit = audit
        self._clock = clock

    async def request(self, call: Call, user: User, email: str) -> None:
        """Request a mail with a code to the new address. Nothing of that address is read. Raises `TooManyAttempts`."""
        request = self._codes.new(Kind.EMAIL_CHANGE, user.user_id, email, user.user_id)
        async with self._database.transaction() as tx:
            payload = pb.EmailChangeRequested()
            await self._codes.request(tx, call, request, "user.email_change_requested", payload)

    async def confirm(self, call: Call, code: str) -> None:
        """Change the address of the caller. Raises `CodeInvalid`, and `EmailTaken` if somebody else was faster."""
        user_id, now = call.caller.user_id, self._clock.now()
        found = await self._requests.attempt(Kind.EMAIL_CHANGE, user_id, code, now)
        if found is None:
            raise CodeInvalid()
        async with self._database.transaction() as tx:
            user = await self._users.lock(tx, user_id)
            if user is None or not user.may_sign_in or not await self._requests.use(tx, found, now):
                raise CodeInvalid()
            await self._users.set_email(tx, user_id, found.address, now)
            # Codes that were mailed to the former address prove nothing any more.
            await self._requests.delete_all(tx, user_id, user.email)
            notice = self._codes.new(Kind.EMAIL_CHANGED, "", user.email, user_id)
            sent = await self._requests.upsert(tx, notice, now)
            event = outbox.event(
                self._clock,
                type="user.email_changed",
                aggregate_id=user_id,
                sequence=await self._users.next_sequence(tx, user_id),
                payload=pb.EmailChanged(user_id=user_id, code_request_id=sent.code_request_id),
                actor=call.caller.actor,
                user_id=user_id,
            )
            await self._events.put(tx, event)
            await self._audit.record(tx, call, "email.changed", subject=user_id, fields=("email",))
