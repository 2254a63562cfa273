"""Opening accounts: sign-up, verification of the address, and the mails in between."""

from google.protobuf.message import Message
from weft.user.v1 import events_pb2 as pb

from chassis import ids
from chassis.clock import Clock
from chassis.queues import outbox
from chassis.queues.outbox import Outbox
from chassis.rpc.call import Call
from chassis.storage.database import Database, Transaction
from services.user.accounts.domain import (
    MAX_MAILS,
    SIGN_UP_LIFETIME,
    SignUp,
    SignUpNotFound,
    VerificationCodeInvalid,
    VerificationMail,
    make_code,
)
from services.user.accounts.repository import RequestedMail, SignUpRepository
from services.user.audit.audit import Audit
from services.user.passwords.passwords import Passwords
from services.user.throttling.domain import TooManyAttempts
from services.user.users.domain import ACTIVE, CUSTOMER, INITIAL, User
from services.user.users.repository import UserRepository


class Accounts:
    """Opens an account for whoever verifies the address. Callers never learn whether there was one; the mail says so.

    A sign-up reads no account: whether the address has one is looked up when the mail is written, so neither the response
    nor its duration can reveal it.
    """

    def __init__(
        self,
        database: Database,
        users: UserRepository,
        sign_ups: SignUpRepository,
        passwords: Passwords,
        events: Outbox,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._database = database
        self._users = users
        self._sign_ups = sign_ups
        self._passwords = passwords
        self._events = events
        self._audit = audit
        self._clock = clock

    async def hash(self, email: str, password: str) -> str:
        """The hash that identifies a pending sign-up: the same for the same address and password."""
        return await self._passwords.hash(password, self._sign_ups.salt(email))

    async def sign_up(
        self, call: Call, email: str, password: str, display_name: str, locale: str, network: bytes
    ) -> None:
        """Store a pending sign-up and request its mail. Raises `TooManyAttempts` when it has had its mails."""
        password_hash = await self.hash(email, password)
        now = self._clock.now()
        sign_up = SignUp(ids.new("sgn", now), email, display_name, locale, password_hash, network)
        async with self._database.transaction() as tx:
            requested = await self._sign_ups.upsert(tx, sign_up, now)
            if requested.mails > MAX_MAILS:
                raise TooManyAttempts(retry_after=SIGN_UP_LIFETIME)
            payload = pb.UserSignedUp(sign_up_id=requested.sign_up_id)
            await self._put_event(tx, "user.signed_up", requested, payload)
            await self._audit.record(tx, call, "sign_up.requested", subject=requested.sign_up_id)

    async def request_verification(self, call: Call, email: str, password_hash: str, network: bytes) -> None:
        """Request a mail with a new code: for the sign-up with the password, or without one the newest from the network."""
        async with self._database.transaction() as tx:
            requested = await self._sign_ups.count_mail(tx, email, password_hash, network, self._clock.now())
            if requested is not None:
                payload = pb.VerificationRequested(sign_up_id=requested.sign_up_id)
                await self._put_event(tx, "user.verification_requested", requested, payload)
                await self._audit.record(tx, call, "sign_up.mailed", subject=requested.sign_up_id)

    async def verify(self, call: Call, email: str, password_hash: str, code: str) -> None:
        """Open the account of the sign-up with this password and code. Raises `VerificationCodeInvalid`."""
        now = self._clock.now()
        verified = await self._sign_ups.check_code(email, password_hash, code, now)
        if verified is None:
            raise VerificationCodeInvalid()
        sign_up, code_hash = verified
        async with self._database.transaction() as tx:
            # The user's row comes first: of two concurrent verifications of one address the second waits here.
            user_id = await self._open(tx, sign_up)
            if user_id is None or not await self._sign_ups.delete(tx, sign_up.sign_up_id, code_hash):
                raise VerificationCodeInvalid()
            await self._sign_ups.delete_all(tx, email)
            event = outbox.event(
                self._clock,
                type="user.verified",
                aggregate_id=user_id,
                sequence=await self._users.next_sequence(tx, user_id),
                payload=pb.UserVerified(user_id=user_id),
                actor=call.caller.actor,
                user_id=user_id,
            )
            await self._events.put(tx, event)
            await self._audit.record(tx, call, "user.verified", subject=user_id, fields=("state",), actor=user_id)

    async def _open(self, tx: Transaction, sign_up: SignUp) -> str | None:
        """The account of a verified sign-up: a new one or an invited user's; None if it is open already."""
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
        if await self._users.insert_if_absent(tx, user):
            return user.user_id
        existing = await self._users.lock_person(tx, sign_up.email)
        if existing is None or existing.state != INITIAL:
            return None
        await self._users.activate(tx, existing.user_id, user)
        return existing.user_id

    async def issue_code(self, sign_up_id: str) -> VerificationMail:
        """The mail of a pending sign-up, with a new code that replaces the previous one. Raises `SignUpNotFound`."""
        now = self._clock.now()
        found = await self._sign_ups.get_recipient(sign_up_id, now)
        if found is None:
            raise SignUpNotFound(sign_up_id=sign_up_id)
        mail, has_account = found
        if has_account:
            return mail
        code, expires_at = make_code(), now + SIGN_UP_LIFETIME
        if not await self._sign_ups.update_code(sign_up_id, code, expires_at):
            raise SignUpNotFound(sign_up_id=sign_up_id)
        return VerificationMail(mail.email, mail.locale, code, expires_at)

    async def _put_event(self, tx: Transaction, kind: str, requested: RequestedMail, payload: Message) -> None:
        event = outbox.event(
            self._clock,
            type=kind,
            aggregate_id=requested.sign_up_id,
            sequence=requested.mails,
            payload=payload,
            actor="anonymous",
        )
        await self._events.put(tx, event)
