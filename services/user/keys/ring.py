"""The key ring: signs with the current key, publishes all keys, rotates them in time."""

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

CACHE_TTL_S = 60.0
"""How long a replica caches the keys: far less than `domain.PUBLISH_LEAD`, so that none misses a rotation."""
log = logger("keys")


class KeyRing:
    """Signs access tokens (ES256, RFC 7518) and publishes the keys that verify them."""

    def __init__(self, database: Database, keys: KeyRepository, clock: Clock) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._cached: list[SigningKey] = []
        self._imported: dict[str, ECKey] = {}
        self._cached_at = 0.0

    async def sign(self, claims: dict[str, object], kind: str = "at+jwt") -> str:
        """A JWT with these claims; its type tells access tokens (RFC 9068) from all others."""
        key = domain.signer(await self._current(), self._clock.now())
        header = {"alg": "ES256", "typ": kind, "kid": key.kid}
        return jwt.encode(header, claims, self._imported[key.kid], algorithms=["ES256"])

    async def published(self) -> str:
        """The JSON Web Key Set of every key that a valid token may be signed with, now or soon."""
        public = [self._imported[key.kid].as_dict(private=False) for key in await self._current()]
        return json.dumps({"keys": public})

    async def rotate(self) -> None:
        """Make the next key when it is due, and delete retired keys; replicas do so one after the other."""
        now = self._clock.now()
        async with self._database.transaction() as tx:
            keys = list(await self._keys.lock(tx))
            start = domain.next_start(keys, now)
            if start is not None:
                made = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
                key = SigningKey(made.kid or "", json.dumps(made.as_dict(private=True)), start)
                await self._keys.insert(tx, key, now)
                keys.append(key)
                log.info("signing_key_made", kid=key.kid, signs_from=start.isoformat())
            retired = {key.kid for key in domain.retired(keys, now)}
            if retired:
                await self._keys.delete(tx, sorted(retired))
                log.info("signing_keys_retired", kids=sorted(retired))
        self._cache([key for key in keys if key.kid not in retired])

    async def _current(self) -> list[SigningKey]:
        if time.monotonic() - self._cached_at > CACHE_TTL_S:
            self._cache(await self._keys.list())
        if not self._cached:
            await self.rotate()
        return self._cached

    def _cache(self, keys: list[SigningKey]) -> None:
        imported = {key.kid: self._imported.get(key.kid) or ECKey.import_key(json.loads(key.private)) for key in keys}
        self._cached, self._imported, self._cached_at = keys, imported, time.monotonic()
