"""One-time codes: enrolled with the password, confirmed with a first code, asked for by sign-in, disabled with both."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from weft.user.v1 import security_events_pb2 as pb

from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.storage.database import Database, Transaction
from services.user.audit.audit import Audit
from services.user.keys.authentication import MULTIPLE_FACTORS, ONE_TIME
from services.user.sessions.domain import CredentialsInvalid
from services.user.sessions.open_session_repository import OpenSessionRepository
from services.user.throttling.attempts import AttemptLimiter
from services.user.throttling.domain import TooManyAttempts
from services.user.throttling.origins import Origin
from services.user.totp.domain import (
    ENROLMENT_LIFETIME,
    FACTORS,
    NOTICED_FAILURES,
    RECOVERY_CODES,
    Factor,
    SecondFactor,
    SecondFactorInvalid,
    SecondFactorRequired,
    TotpEnrolmentNotFound,
    TotpNotEnabled,
    make_recovery_code,
    make_secret,
    matching_step,
    otpauth_uri,
)
from services.user.totp.repository import TotpRepository
from services.user.users.domain import User
from services.user.users.events import UserEvents
from services.user.users.repository import UserRepository


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A secret that waits for its first code."""

    secret: str
    uri: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Proven:
    """A transaction that has locked a user and used up the code, and the methods that the code adds to a password."""

    tx: Transaction
    user: User
    methods: tuple[str, ...]


class Totp:
    """One-time codes of authenticator apps, and the recovery codes beside them."""

    def __init__(
        self,
        database: Database,
        users: UserRepository,
        factors: TotpRepository,
        open_sessions: OpenSessionRepository,
        attempts: AttemptLimiter,
        events: UserEvents,
        audit: Audit,
        clock: Clock,
    ) -> None:
        """`attempts` slows down guessing of codes."""
        self._database = database
        self._users = users
        self._factors = factors
        self._open_sessions = open_sessions
        self._attempts = attempts
        self._events = events
        self._audit = audit
        self._clock = clock

    async def get(self, user_id: str) -> Factor | None:
        """The app of a user; None where one-time codes are not enabled."""
        return await self._factors.get(user_id)

    @asynccontextmanager
    async def using(self, call: Call, user: User, second: SecondFactor, origin: Origin) -> AsyncIterator[Proven]:
        """A transaction in which a code of the user is used up, if the account asks for one; `user` gave the password.

        What fails in it leaves the code unused. Raises `SecondFactorRequired`, `SecondFactorInvalid`,
        `TooManyAttempts`, and `CredentialsInvalid` for an account that was closed meanwhile.
        """
        factor = await self._factors.get(user.user_id)
        if factor is None:
            async with self._database.transaction() as tx:
                yield Proven(tx, await self._lock(tx, user), ())
            return
        if not second:
            raise SecondFactorRequired(factors=FACTORS)
        wait = factor.wait(self._clock.now())
        if second.totp_code and wait and not await self._attempts.knows(origin):
            raise TooManyAttempts(retry_after=wait)
        async with self._attempts.attempt(origin):
            try:
                async with self._database.transaction() as tx:
                    locked = await self._lock(tx, user)
                    await self._use(tx, call, user.user_id, second)
                    yield Proven(tx, locked, (ONE_TIME, MULTIPLE_FACTORS))
            except SecondFactorInvalid:
                await self._count_failure(user.user_id)  # not in the transaction, which is rolled back
                raise

    async def enrol(self, call: Call, user: User, second: SecondFactor, origin: Origin) -> Enrolment:
        """Make a secret that waits for its first code. If an app is in use, one of its codes is used up."""
        secret, expires_at = make_secret(), self._clock.now() + ENROLMENT_LIFETIME
        async with self.using(call, user, second, origin) as proven:
            await self._factors.enrol(proven.tx, user.user_id, call.caller.session_id, secret, expires_at)
            await self._audit.record(proven.tx, call, "totp.enrolled", subject=user.user_id)
        return Enrolment(base64.b32encode(secret).decode(), otpauth_uri(secret, user.email), expires_at)

    async def confirm(self, call: Call, code: str) -> list[str]:
        """Put the enrolled app in use; returns its recovery codes. Raises `TotpEnrolmentNotFound`, `SecondFactorInvalid`."""
        user_id, now = call.caller.user_id, self._clock.now()
        enrolled = await self._factors.count_attempt(user_id, call.caller.session_id, now)
        if enrolled is None:
            raise TotpEnrolmentNotFound()
        secret, sealed = enrolled
        step = matching_step(secret, code, now)
        if step is None:
            raise SecondFactorInvalid()
        codes = [make_recovery_code() for _ in range(RECOVERY_CODES)]
        async with self._database.transaction() as tx:
            await self._users.lock(tx, user_id)
            await self._open_sessions.require(tx, call.caller)
            if not await self._factors.enable(tx, user_id, sealed, step, codes, now):
                raise TotpEnrolmentNotFound()
            payload = pb.TotpEnabled(user_id=user_id)
            await self._events.put(tx, "user.totp_enabled", user_id, payload, call.caller.actor)
            await self._audit.record(tx, call, "totp.enabled", subject=user_id)
        return codes

    async def disable(self, call: Call, user: User, second: SecondFactor, origin: Origin) -> None:
        """Disable one-time codes with one of them. Raises `TotpNotEnabled` and what `using` raises."""
        async with self.using(call, user, second, origin) as proven:
            if not proven.methods:
                raise TotpNotEnabled()
            await self._disable(proven.tx, call, user.user_id)

    async def remove(self, call: Call, user_id: str) -> None:
        """Disable one-time codes of somebody else; does nothing where they are not enabled."""
        async with self._database.transaction() as tx:
            await self._users.lock(tx, user_id)
            await self._disable(tx, call, user_id)

    async def _lock(self, tx: Transaction, user: User) -> User:
        locked = await self._users.lock(tx, user.user_id)
        if locked is None or not locked.may_sign_in:
            raise CredentialsInvalid()
        return locked

    async def _use(self, tx: Transaction, call: Call, user_id: str, second: SecondFactor) -> None:
        factor = await self._factors.get_in(tx, user_id)
        if factor is None:
            raise SecondFactorInvalid()
        if second.totp_code:
            step = factor.step_of(second.totp_code, self._clock.now())
            if step is None or not await self._factors.use_step(tx, user_id, step):
                raise SecondFactorInvalid()
            return
        if not await self._factors.use_recovery_code(tx, user_id, second.recovery_code):
            raise SecondFactorInvalid()
        payload = pb.RecoveryCodeUsed(user_id=user_id, remaining=factor.remaining - 1)
        await self._events.put(tx, "user.recovery_code_used", user_id, payload, user_id)
        await self._audit.record(tx, call, "recovery_code.used", subject=user_id, actor=user_id)

    async def _count_failure(self, user_id: str) -> None:
        async with self._database.transaction() as tx:
            await self._users.lock(tx, user_id)
            failures = await self._factors.count_failure(tx, user_id, self._clock.now())
            if failures == NOTICED_FAILURES:
                payload = pb.SecondFactorGuessed(user_id=user_id, failures=failures)
                await self._events.put(tx, "user.second_factor_guessed", user_id, payload, "anonymous")

    async def _disable(self, tx: Transaction, call: Call, user_id: str) -> None:
        if await self._factors.disable(tx, user_id):
            payload = pb.TotpDisabled(user_id=user_id)
            await self._events.put(tx, "user.totp_disabled", user_id, payload, call.caller.actor)
            await self._audit.record(tx, call, "totp.disabled", subject=user_id)
