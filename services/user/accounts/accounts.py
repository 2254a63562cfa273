"""Accounts in the making: sign-up, the proof of an address, and the mails that go with them."""

from google.protobuf.message import Message
from weft.user.v1 import events_pb2

from chassis import ids
from chassis.clock import Clock
from chassis.queues import outbox
from chassis.queues.outbox import Outbox
from chassis.storage.database import Database, Transaction
from services.user.auth.domain import TooManyAttempts
from services.user.passwords.passwords import Passwords
from services.user.sign_ups.domain import (
    LIFE,
    MAILS,
    Letter,
    SignUp,
    SignUpNotFound,
    VerificationCodeInvalid,
    make_code,
)
from services.user.sign_ups.repository import Asked, SignUpRepository
from services.user.users.domain import ACTIVE, CUSTOMER, INITIAL, User
from services.user.users.repository import UserRepository


class Accounts:
    """Opens accounts to who proves an address. Who asks never learns what there was before; the mail does.

    Asking for an account looks at no account: whether the address has one is found when the mail is written, so neither
    answer nor time can tell.
    """

    def __init__(
        self,
        database: Database,
        users: UserRepository,
        sign_ups: SignUpRepository,
        passwords: Passwords,
        events: Outbox,
        clock: Clock,
    ) -> None:
        self._database = database
        self._users = users
        self._sign_ups = sign_ups
        self._passwords = passwords
        self._events = events
        self._clock = clock

    async def hash(self, email: str, password: str) -> str:
        """The hash that a pending sign-up is found by: the same for the same address and password."""
        return await self._passwords.hash(password, self._sign_ups.salt(email))

    async def sign_up(self, email: str, password: str, display_name: str, locale: str, network: bytes) -> None:
        """Keep the wish for an account, and ask for the mail. Raises `TooManyAttempts` when it has had its mails."""
        password_hash = await self.hash(email, password)
        now = self._clock.now()
        sign_up = SignUp(ids.new("sgn", now), email, display_name, locale, password_hash, network)
        async with self._database.transaction() as tx:
            asked = await self._sign_ups.ask(tx, sign_up, now)
            if asked.mails > MAILS:
                raise TooManyAttempts(retry_after=LIFE)
            fact = events_pb2.UserSignedUp(sign_up_id=asked.sign_up_id)
            await self._tell_of_sign_up(tx, "user.signed_up", asked, fact)

    async def request_verification(self, email: str, password: str, network: bytes) -> None:
        """Ask for a mail with a new code: for the sign-up with the password, or else the newest from the network."""
        password_hash = await self.hash(email, password) if password else ""
        async with self._database.transaction() as tx:
            asked = await self._sign_ups.ask_again(tx, email, password_hash, network, self._clock.now())
            if asked is not None:
                fact = events_pb2.VerificationRequested(sign_up_id=asked.sign_up_id)
                await self._tell_of_sign_up(tx, "user.verification_requested", asked, fact)

    async def verify(self, email: str, password_hash: str, code: str, actor: str) -> None:
        """Open the account to whose password and code these are. Raises `VerificationCodeInvalid`."""
        now = self._clock.now()
        right = await self._sign_ups.try_code(email, password_hash, code, now)
        if right is None:
            raise VerificationCodeInvalid()
        sign_up, code_hash = right
        async with self._database.transaction() as tx:
            # The person's row comes first: of two who prove one address at once, the second waits here.
            user_id = await self._open(tx, sign_up)
            if user_id is None or not await self._sign_ups.take(tx, sign_up.sign_up_id, code_hash):
                raise VerificationCodeInvalid()
            await self._sign_ups.end_others(tx, email)
            event = outbox.event(
                self._clock,
                type="user.verified",
                aggregate_id=user_id,
                sequence=await self._users.count_event(tx, user_id),
                payload=events_pb2.UserVerified(user_id=user_id),
                actor=actor,
                user_id=user_id,
            )
            await self._events.put(tx, event)

    async def _open(self, tx: Transaction, sign_up: SignUp) -> str | None:
        """The account of a proven sign-up: a new one, or one that waited for a proof; None where it is open already."""
        now = self._clock.now()
        user = User(
            user_id=ids.new("usr", now),
            partner_id="",
            email=sign_up.email,
            display_name=sign_up.display_name,
            locale=sign_up.locale,
            state=ACTIVE,
            external_reference="",
            roles=(CUSTOMER,),
            plan="free",
            created_at=now,
            updated_at=now,
            password_hash=sign_up.password_hash,
        )
        if await self._users.add_if_free(tx, user):
            return user.user_id
        there = await self._users.lock_person(tx, sign_up.email)
        if there is None or there.state != INITIAL:
            return None
        await self._users.open(tx, there.user_id, user)
        return there.user_id

    async def issue_code(self, sign_up_id: str) -> Letter:
        """What the mail of a pending sign-up says; the code before is void. Raises `SignUpNotFound`."""
        now = self._clock.now()
        found = await self._sign_ups.addressee(sign_up_id, now)
        if found is None:
            raise SignUpNotFound(sign_up_id=sign_up_id)
        letter, has_account = found
        if has_account:
            return letter
        code, expires_at = make_code(), now + LIFE
        if not await self._sign_ups.put_code(sign_up_id, code, expires_at):
            raise SignUpNotFound(sign_up_id=sign_up_id)
        return Letter(letter.email, letter.locale, code, expires_at)

    async def _tell_of_sign_up(self, tx: Transaction, kind: str, asked: Asked, payload: Message) -> None:
        event = outbox.event(
            self._clock,
            type=kind,
            aggregate_id=asked.sign_up_id,
            sequence=asked.mails,
            payload=payload,
            actor="anonymous",
        )
        await self._events.put(tx, event)
