"""Proving a phone number: a code goes to it, and comes back from who is signed in."""

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
from services.user.phones.domain import MAX_OF_USER, MAX_TO_NUMBER
from services.user.phones.repository import TextCountRepository
from services.user.throttling.origins import Origin
from services.user.users.domain import UserNotFound
from services.user.users.repository import UserRepository


class Phones:
    """Proves phone numbers."""

    def __init__(
        self,
        database: Database,
        users: UserRepository,
        codes: Codes,
        requests: CodeRepository,
        counts: TextCountRepository,
        events: Outbox,
        audit: Audit,
        clock: Clock,
        texts_of_network: int,
    ) -> None:
        """`texts_of_network`: messages that one network may request in a day."""
        self._database = database
        self._users = users
        self._codes = codes
        self._requests = requests
        self._counts = counts
        self._events = events
        self._audit = audit
        self._clock = clock
        self._of_network = texts_of_network

    async def request(self, call: Call, phone: str, origin: Origin) -> None:
        """Request a text message with a code. Raises `TooManyAttempts`."""
        user_id, now = call.caller.user_id, self._clock.now()
        user = await self._users.get(user_id)
        if user is None or not user.may_sign_in:  # since the token was issued
            raise UserNotFound(user_id=user_id)
        request = self._codes.new(Kind.PHONE, user_id, phone, user_id)
        async with self._database.transaction() as tx:
            # Always in this order, so that no two transactions wait for each other.
            await self._counts.spend(tx, f"user {user_id}", MAX_OF_USER, now)
            await self._counts.spend(tx, f"number {phone}", MAX_TO_NUMBER, now)
            await self._counts.spend(tx, f"network {origin.address}", self._of_network, now)
            payload = pb.PhoneVerificationRequested()
            await self._codes.request(tx, call, request, "user.phone_verification_requested", payload)

    async def confirm(self, call: Call, code: str) -> None:
        """Set the number of the caller. Raises `CodeInvalid`."""
        user_id, now = call.caller.user_id, self._clock.now()
        found = await self._requests.attempt(Kind.PHONE, user_id, code, now)
        if found is None:
            raise CodeInvalid()
        async with self._database.transaction() as tx:
            user = await self._users.lock(tx, user_id)
            if user is None or not user.may_sign_in or not await self._requests.use(tx, found, now):
                raise CodeInvalid()
            await self._users.set_phone(tx, user_id, found.address, now)
            event = outbox.event(
                self._clock,
                type="user.phone_verified",
                aggregate_id=user_id,
                sequence=await self._users.next_sequence(tx, user_id),
                payload=pb.PhoneVerified(user_id=user_id),
                actor=call.caller.actor,
                user_id=user_id,
            )
            await self._events.put(tx, event)
            await self._audit.record(tx, call, "phone.verified", subject=user_id, fields=("phone", "phone_verified"))
