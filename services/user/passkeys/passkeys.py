"""Passkeys: added by who has proven who they are, used to sign in, renamed, removed."""

from collections.abc import Mapping, Sequence
from typing import Any

from weft.user.v1 import security_events_pb2 as pb

from chassis import ids
from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.rpc.pagination import NEWEST
from chassis.storage.database import Database, Transaction
from services.user.audit.audit import Audit
from services.user.keys.authentication import KEY, MULTIPLE_FACTORS, PRESENCE
from services.user.passkeys.domain import (
    DEFAULT_NAME,
    MAX_PASSKEYS,
    Passkey,
    PasskeyInvalid,
    PasskeyLimitReached,
    PasskeyNotFound,
)
from services.user.passkeys.relying_party import Options, RelyingParty, credential_id
from services.user.passkeys.repository import PasskeyRepository
from services.user.sessions.open_session_repository import OpenSessionRepository
from services.user.sessions.sessions import Opened, Sessions, TokenPair
from services.user.throttling import pacing
from services.user.throttling.attempts import AttemptLimiter
from services.user.throttling.origins import Origins
from services.user.users.domain import User
from services.user.users.events import UserEvents
from services.user.users.repository import UserRepository

MIN_RESPONSE_TIME_S = 0.03
"""More than a verification and its statements take, which an unknown passkey skips."""


class Passkeys:
    def __init__(
        self,
        database: Database,
        users: UserRepository,
        passkeys: PasskeyRepository,
        party: RelyingParty,
        sessions: Sessions,
        open_sessions: OpenSessionRepository,
        attempts: AttemptLimiter,
        origins: Origins,
        events: UserEvents,
        audit: Audit,
        clock: Clock,
    ) -> None:
        """`attempts` slows down whoever presents what does not fit."""
        self._database = database
        self._users = users
        self._passkeys = passkeys
        self._party = party
        self._sessions = sessions
        self._open_sessions = open_sessions
        self._attempts = attempts
        self._origins = origins
        self._events = events
        self._audit = audit
        self._clock = clock

    async def list(self, user_id: str, limit: int = MAX_PASSKEYS, after: str = NEWEST) -> Sequence[Passkey]:
        """Up to `limit` passkeys of a user older than `after`, newest first; by default all."""
        return await self._passkeys.list(user_id, limit, after)

    async def begin_registration(self, call: Call, user: User) -> Options:
        """Options for a new passkey of the caller, who has proven who they are. Raises `PasskeyLimitReached`."""
        present = await self._passkeys.list(user.user_id)
        _refuse_surplus(present)
        return self._party.registration(user, call.caller.session_id, present)

    async def finish_registration(self, call: Call, credential: Mapping[str, Any], name: str) -> Passkey:
        """Add the passkey that a browser has made. Raises `PasskeyInvalid` or `PasskeyLimitReached`."""
        caller, now = call.caller, self._clock.now()
        verified, challenge = self._party.verify_registration(credential, caller.user_id, caller.session_id)
        passkey = Passkey(
            passkey_id=ids.new("pky", now),
            user_id=caller.user_id,
            credential_id=verified.credential_id,
            public_key=verified.credential_public_key,
            sign_count=verified.sign_count,
            display_name=name or DEFAULT_NAME,
            backed_up=verified.credential_backed_up,
            created_at=now,
        )
        async with self._database.transaction() as tx:
            user = await self._users.lock(tx, caller.user_id)
            if user is None or not user.may_sign_in:
                raise PasskeyInvalid()
            await self._open_sessions.require(tx, caller)
            if not await self._passkeys.use_challenge(tx, challenge.value, challenge.expires_at):
                raise PasskeyInvalid()
            _refuse_surplus(await self._passkeys.list_in(tx, caller.user_id))
            await self._passkeys.insert(tx, passkey)
            payload = pb.PasskeyAdded(user_id=caller.user_id, passkey_id=passkey.passkey_id)
            await self._events.put(tx, "user.passkey_added", caller.user_id, payload, caller.actor)
            await self._audit.record(tx, call, "passkey.added", subject=caller.user_id)
        return passkey

    def begin_sign_in(self) -> Options:
        """Options for whichever passkey the browser has."""
        return self._party.sign_in()

    async def finish_sign_in(self, call: Call, credential: Mapping[str, Any]) -> TokenPair:
        """Open a session. Raises `PasskeyInvalid`, always after the same time, or `TooManyAttempts`."""
        identifier = credential_id(credential)
        attempt = self._attempts.attempt(self._origins.of(identifier.hex(), call))
        async with pacing.at_least(MIN_RESPONSE_TIME_S), attempt:
            opened = await self._sign_in(call, credential, identifier)
        return await self._sessions.issue(opened)

    async def _sign_in(self, call: Call, credential: Mapping[str, Any], identifier: bytes) -> Opened:
        found = await self._passkeys.find(identifier)
        if found is None:
            self._party.refuse_malformed(credential)
            raise PasskeyInvalid()
        verified, challenge = self._party.verify_sign_in(credential, found)
        now = self._clock.now()
        async with self._database.transaction() as tx:
            user = await self._users.lock(tx, found.user_id)
            passkey = await self._passkeys.lock(tx, found.user_id, found.passkey_id)
            if user is None or passkey is None or not user.may_sign_in:
                raise PasskeyInvalid()
            if not await self._passkeys.use_challenge(tx, challenge.value, challenge.expires_at):
                raise PasskeyInvalid()
            if passkey.accepts(verified.new_sign_count):
                await self._passkeys.use(tx, passkey, verified.new_sign_count, verified.credential_backed_up, now)
                return await self._sessions.begin(tx, call, user, (KEY, PRESENCE, MULTIPLE_FACTORS))
            await self._report_copy(tx, call, passkey)
        # Outside of the transaction: what was noticed has to be committed.
        raise PasskeyInvalid()

    async def update(
        self, call: Call, user_id: str, passkey_id: str, etag: str, changes: Mapping[str, object]
    ) -> Passkey:
        """Change a passkey. Raises `PasskeyNotFound` or `EtagMismatch`."""
        async with self._database.transaction() as tx:
            passkey = await self._passkeys.lock(tx, user_id, passkey_id)
            if passkey is None:
                raise PasskeyNotFound(passkey_id=passkey_id)
            changed = passkey.update(etag, changes)
            if changed is not passkey:
                await self._passkeys.update(tx, changed)
                await self._audit.record(tx, call, "passkey.updated", subject=user_id, fields=[*changes])
        return changed

    async def remove(self, call: Call, user_id: str, passkey_id: str) -> None:
        """Remove a passkey. Raises `PasskeyNotFound`."""
        async with self._database.transaction() as tx:
            await self._users.lock(tx, user_id)
            if not await self._passkeys.delete(tx, user_id, passkey_id):
                raise PasskeyNotFound(passkey_id=passkey_id)
            payload = pb.PasskeyRemoved(user_id=user_id, passkey_id=passkey_id)
            await self._events.put(tx, "user.passkey_removed", user_id, payload, call.caller.actor)
            await self._audit.record(tx, call, "passkey.removed", subject=user_id)

    async def _report_copy(self, tx: Transaction, call: Call, passkey: Passkey) -> None:
        payload = pb.PasskeyCopied(user_id=passkey.user_id, passkey_id=passkey.passkey_id)
        await self._events.put(tx, "user.passkey_copied", passkey.user_id, payload, call.caller.actor)
        await self._audit.record(tx, call, "passkey.refused", subject=passkey.user_id)


def _refuse_surplus(present: Sequence[Passkey]) -> None:
    if len(present) >= MAX_PASSKEYS:
        raise PasskeyLimitReached(limit=str(MAX_PASSKEYS))
