"""The key ring: signs with the current key, publishes all keys, rotates them in time or when an operator asks for it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from joserfc import jwt
from joserfc.jwk import ECKey

from chassis.app import App
from chassis.clock import Clock
from chassis.storage.database import Database, Transaction
from chassis.telemetry.logs import logger
from services.user.audit.audit import Audit
from services.user.audit.repository import AuditRepository
from services.user.keys import domain
from services.user.keys.domain import SigningKey
from services.user.keys.repository import KeyRepository
from services.user.revocations.repository import RevocationRepository

CACHE_TTL_S = 60.0
"""How long a replica caches the keys that it was not told of: far less than `domain.PUBLISH_LEAD`, so that none misses a rotation."""
COMMAND = "keys"
"""The actor of what an operator does by command."""
log = logger("keys")


def of_app(app: App, on_change: Callable[[], None] = lambda: None) -> KeyRing:
    """The key ring of a process; `on_change` is called when the published keys change."""
    database, vault, clock = app.database, app.vault, app.clock
    audit = Audit(AuditRepository(database, vault), clock)
    return KeyRing(
        database, KeyRepository(database, vault), RevocationRepository(database, clock), audit, clock, on_change
    )


class KeyRing:
    """Signs access tokens (ES256, RFC 7518) and publishes the keys that verify them."""

    def __init__(
        self,
        database: Database,
        keys: KeyRepository,
        revocations: RevocationRepository,
        audit: Audit,
        clock: Clock,
        on_change: Callable[[], None],
    ) -> None:
        self._database = database
        self._keys = keys
        self._revocations = revocations
        self._audit = audit
        self._clock = clock
        self._on_change = on_change
        self._cached: Sequence[SigningKey] = []
        self._imported: dict[str, ECKey] = {}
        self._cached_at = -math.inf
        self._changes = 0

    async def sign(self, claims: dict[str, object], kind: str = "at+jwt") -> str:
        """A JWT with these claims; its type tells access tokens (RFC 9068) from all others."""
        key = domain.signer(await self._current(), self._clock.now())
        header = {"alg": "ES256", "typ": kind, "kid": key.kid}
        return jwt.encode(header, claims, self._imported[key.kid], algorithms=["ES256"])

    async def published(self) -> str:
        """The JSON Web Key Set of every key that a valid token may be signed with, now or soon."""
        public = [self._imported[key.kid].as_dict(private=False) for key in await self._current()]
        return json.dumps({"keys": public})

    def changed(self) -> None:
        """The keys in the database may have changed: read them before the next use."""
        self._changes += 1
        self._cached_at = -math.inf
        self._on_change()

    async def rotate(self) -> None:
        """Make the next key when it is due, and delete retired keys; replicas do so one after the other."""
        now = self._clock.now()
        async with self._database.transaction() as tx:
            keys = list(await self._keys.lock(tx))
            start = domain.next_start(keys, now)
            if start is not None:
                keys.append(await self._make(tx, start, now))
            retired = {key.kid for key in domain.retired(keys, now)}
            if retired:
                await self._keys.delete(tx, sorted(retired))
                log.info("signing_keys_retired", kids=sorted(retired))
        self._cache([key for key in keys if key.kid not in retired])

    async def request(self) -> SigningKey | None:
        """Make the next key before it is due; None where one waits for its time already."""
        now = self._clock.now()
        async with self._database.transaction() as tx:
            start = domain.requested_start(await self._keys.lock(tx), now)
            if start is None:
                return None
            made = await self._make(tx, start, now)
            await self._audit.record_command(tx, COMMAND, "signing_key.made", subject=made.kid)
        return made

    async def revoke(self, kids: Sequence[str]) -> None:
        """End keys at once, with every token that they signed; if none is left, another one is made, which signs at once.

        Raises `LookupError`, and changes nothing, where one is not published.
        """
        now = self._clock.now()
        async with self._database.transaction() as tx:
            keys = await self._keys.lock(tx)
            if unknown := set(kids) - {key.kid for key in keys}:
                raise LookupError(", ".join(sorted(unknown)))
            await self._keys.delete(tx, sorted(kids))
            await self._revocations.revoke(tx, "key", *kids)
            for kid in sorted(kids):
                await self._audit.record_command(tx, COMMAND, "signing_key.revoked", subject=kid)
            if {key.kid for key in keys} == set(kids):
                made = await self._make(tx, now, now)
                await self._audit.record_command(tx, COMMAND, "signing_key.made", subject=made.kid)
        log.warning("signing_keys_revoked", kids=sorted(kids))

    async def _make(self, tx: Transaction, start: datetime, now: datetime) -> SigningKey:
        made = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
        key = SigningKey(made.kid or "", json.dumps(made.as_dict(private=True)), start)
        await self._keys.insert(tx, key, now)
        log.info("signing_key_made", kid=key.kid, signs_from=start.isoformat())
        return key

    async def _current(self) -> Sequence[SigningKey]:
        while time.monotonic() - self._cached_at > CACHE_TTL_S:
            changes = self._changes
            keys = await self._keys.list()
            if changes == self._changes:  # else they are those from before a change that was announced meanwhile
                self._cache(keys)
                break
        if not self._cached:
            await self.rotate()
        return self._cached

    def _cache(self, keys: Sequence[SigningKey]) -> None:
        imported = {key.kid: self._imported.get(key.kid) or ECKey.import_key(json.loads(key.private)) for key in keys}
        self._cached, self._imported, self._cached_at = keys, imported, time.monotonic()
