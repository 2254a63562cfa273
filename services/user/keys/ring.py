"""The keys in hand: signs with the one whose turn it is, publishes all, rotates in time."""

import json
import time

from joserfc import jwt
from joserfc.jwk import ECKey

from chassis.clock import Clock
from chassis.storage.database import Database
from chassis.telemetry.logs import logger
from services.user.keys import domain
from services.user.keys.domain import SigningKey
from services.user.keys.repository import KeyRepository

FRESH = 60.0
"""Seconds until the keys are read anew: far less than `domain.LEAD`, so that no replica misses a rotation."""
log = logger("keys")


class KeyRing:
    """Signs access tokens (ES256, RFC 7518) and publishes the keys that verify them."""

    def __init__(self, database: Database, keys: KeyRepository, clock: Clock) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._held: list[SigningKey] = []
        self._imported: dict[str, ECKey] = {}
        self._read_at = 0.0

    async def sign(self, claims: dict[str, object]) -> str:
        """A JWT of type `at+jwt` (RFC 9068) with these claims."""
        key = domain.signer(await self._current(), self._clock.now())
        header = {"alg": "ES256", "typ": "at+jwt", "kid": key.kid}
        return jwt.encode(header, claims, self._imported[key.kid], algorithms=["ES256"])

    async def published(self) -> str:
        """The JSON Web Key Set of every key that a valid token may be signed with, now or soon."""
        public = [self._imported[key.kid].as_dict(private=False) for key in await self._current()]
        return json.dumps({"keys": public})

    async def rotate(self) -> None:
        """Make the next key when it is time, and drop those that nothing valid is signed with; replicas take turns."""
        now = self._clock.now()
        async with self._database.transaction() as tx:
            held = await self._keys.lock_all(tx)
            start = domain.next_start(held, now)
            if start is not None:
                made = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
                key = SigningKey(made.kid or "", json.dumps(made.as_dict(private=True)), start)
                await self._keys.add(tx, key, now)
                held.append(key)
                log.info("signing_key_made", kid=key.kid, signs_from=start.isoformat())
            gone = {key.kid for key in domain.retired(held, now)}
            if gone:
                await self._keys.delete(tx, sorted(gone))
                log.info("signing_keys_retired", kids=sorted(gone))
        self._hold([key for key in held if key.kid not in gone])

    async def _current(self) -> list[SigningKey]:
        if time.monotonic() - self._read_at > FRESH:
            self._hold(await self._keys.all())
        if not self._held:
            await self.rotate()
        return self._held

    def _hold(self, keys: list[SigningKey]) -> None:
        imported = {key.kid: self._imported.get(key.kid) or ECKey.import_key(json.loads(key.private)) for key in keys}
        self._held, self._imported, self._read_at = keys, imported, time.monotonic()
