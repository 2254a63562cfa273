"""Accounts in the making: sign-up, the proof of an address, and the mails that go with them."""

from datetime import datetime

from google.protobuf.message import Message
from weft.user.v1 import events_pb2

from services.chassis import ids, outbox
from services.chassis.cache import Cache
from services.chassis.clock import Clock
from services.chassis.database import Database, Transaction
from services.chassis.outbox import Outbox
from services.user.auth.domain import CODE_LIFE, VerificationCodeInvalid, make_code
from services.user.auth.repository import CodeRepository
from services.user.users.domain import ACTIVE, CUSTOMER, INITIAL, User, UserAlreadyVerified, UserNotFound
from services.user.users.repository import UserRepository

MAILS_AN_HOUR = 10
"""To one address, on behalf of strangers; what is asked for beyond is answered alike and not sent."""


class Accounts:
    """Opens accounts and proves addresses. Who asks never learns what there was before; the mail does."""

    def __init__(
        self,
        database: Database,
        users: UserRepository,
        codes: CodeRepository,
        events: Outbox,
        cache: Cache,
        clock: Clock,
    ) -> None:
        self._database = database
        self._users = users
        self._codes = codes
        self._events = events
        self._cache = cache
        self._clock = clock

    async def sign_up(self, email: str, display_name: str, password_hash: str, actor: str) -> None:
        """Open an account, or tell the owner of the address that someone tried."""
        now = self._clock.now()
        user = User(
            user_id=ids.new("usr", now),
            partner_id="",
            email=email,
            display_name=display_name,
            locale="en",
            state=INITIAL,
            external_reference="",
            roles=(CUSTOMER,),
            plan="free",
            created_at=now,
            updated_at=now,
            password_hash=password_hash,
        )
        may_mail = await self._may_mail(email)
        async with self._database.transaction() as tx:
            if await self._users.add_if_free(tx, user):
                await self._tell(tx, "user.signed_up", user.user_id, events_pb2.UserSignedUp, actor)
            else:
                await self._sign_up_again(tx, user, actor, may_mail)
        self._events.wake()

    async def _sign_up_again(self, tx: Transaction, claim: User, actor: str, may_mail: bool) -> None:
        there = await self._users.lock_person(tx, claim.email)
        assert there is not None
        if there.state == INITIAL:
            # Nobody has proven the address: were the first password kept, whoever signed up in the owner's name
            # would know the password of the account that the owner then proves.
            await self._users.take_over(tx, there.user_id, claim)
        if may_mail and there.state == INITIAL:
            await self._tell(tx, "user.verification_requested", there.user_id, events_pb2.VerificationRequested, actor)
        elif may_mail:
            await self._tell(tx, "user.sign_up_repeated", there.user_id, events_pb2.SignUpRepeated, actor)

    async def request_verification(self, email: str, actor: str) -> None:
        """Ask for a mail with a new code; for an address that waits for none, nothing."""
        user = await self._users.find_person(email)
        if not await self._may_mail(email) or user is None or user.state != INITIAL:
            return
        async with self._database.transaction() as tx:
            await self._tell(tx, "user.verification_requested", user.user_id, events_pb2.VerificationRequested, actor)
        self._events.wake()

    async def verify(self, email: str, code: str, actor: str) -> None:
        """Open the account whose address the code proves. Raises `VerificationCodeInvalid`."""
        now = self._clock.now()
        right = await self._codes.try_(self._users.lookup(email), code, now)
        if right is None:
            raise VerificationCodeInvalid()
        user_id, code_hash = right
        async with self._database.transaction() as tx:
            user = await self._users.lock(tx, user_id)
            if not await self._codes.use(tx, user_id, code_hash) or user is None or user.state != INITIAL:
                raise VerificationCodeInvalid()
            await self._users.set_state(tx, user_id, ACTIVE, now)
            await self._tell(tx, "user.verified", user_id, events_pb2.UserVerified, actor)
        self._events.wake()

    async def issue_code(self, user_id: str) -> tuple[str, datetime]:
        """A new code and when it ends; the one before is void. Raises `UserNotFound` or `UserAlreadyVerified`."""
        now = self._clock.now()
        code, expires_at = make_code(), now + CODE_LIFE
        async with self._database.transaction() as tx:
            user = await self._users.lock(tx, user_id)
            if user is None:
                raise UserNotFound(user_id=user_id)
            if user.state != INITIAL:
                raise UserAlreadyVerified(user_id=user_id)
            await self._codes.put(tx, user_id, code, now, expires_at)
        return code, expires_at

    async def _may_mail(self, email: str) -> bool:
        return await self._cache.increment(f"mails:{self._users.lookup(email).hex()}", 3600) <= MAILS_AN_HOUR

    async def _tell(self, tx: Transaction, kind: str, user_id: str, payload: type[Message], actor: str) -> None:
        event = outbox.event(
            self._clock,
            type=kind,
            aggregate_id=user_id,
            sequence=await self._users.count_event(tx, user_id),
            payload=payload(user_id=user_id),
            actor=actor,
            user_id=user_id,
        )
        await self._events.put(tx, event)
