"""Verification of access tokens: ES256 JWTs of type `at+jwt` (RFC 9068), with the issuer's published keys."""

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from chassis import errors, tasks
from chassis.security import identity
from chassis.security.identity import Identity
from chassis.telemetry.logs import logger

AUDIENCE = "weft"
CLOCK_SKEW_S = 60
"""Tolerated difference of clocks."""
MIN_FETCH_INTERVAL_S = 2
"""Minimum seconds between two fetches of the keys, so that tokens with unknown key ids cost little."""
KEYS_TTL_S = 300
"""Seconds after which the keys are fetched again, so that a retired key stops working."""
MAX_CACHE_BYTES = 8 << 20
"""Of cached verified tokens in a process: about 10,000 tokens."""
FIRST_FETCH_INTERVAL_S = 0.25
"""Seconds between two attempts to fetch the first keys."""

_JWT_TYPE = "at+jwt"
Fetch = Callable[[], Awaitable[str]]
log = logger("tokens")


class TokenVerifier:
    """Turns an `authorization` header into an `Identity`; verified tokens are cached."""

    def __init__(self, issuer: str, fetch: Fetch) -> None:
        """`fetch` returns a JSON Web Key Set as text."""
        self._issuer = issuer
        self._fetch = fetch
        self._keys: KeySet | None = None
        self._fetched = 0.0
        self._failing = False
        self._fetching: asyncio.Task[None] | None = None
        self._cached: dict[str, Identity] = {}  # by token, the oldest first
        self._cached_bytes = 0

    def use(self, fetch: Fetch) -> None:
        """Replace the source of the keys: the issuer itself reads them from its own database."""
        self._fetch = fetch

    def keys_changed(self) -> None:
        """Fetch the keys before the next use: those at hand may be out of date."""
        self._fetched = -math.inf

    async def fetch_first(self) -> None:
        """Fetch keys until there are some, so that no call has to wait for the issuer to start."""
        while self._keys is None:
            try:
                await self._refresh()
            except errors.KeysUnavailable:
                await asyncio.sleep(FIRST_FETCH_INTERVAL_S)

    async def close(self) -> None:
        """End a fetch that runs: it serves calls that have ended, and needs the connections that are closed next."""
        if self._fetching is not None:
            await tasks.end([self._fetching])

    def remembered(self, header: str) -> Identity | None:
        """The identity of a cached token that has not expired and whose keys are fresh, or None; never waits."""
        if time.monotonic() - self._fetched > KEYS_TTL_S:
            return None
        found = self._cached.get(_token(header))
        return found if found is not None and found.expires_at + CLOCK_SKEW_S > time.time() else None

    async def identify(self, header: str) -> Identity:
        """The caller of an `authorization` header. Raises `TokenInvalid`, `TokenExpired` or `KeysUnavailable`."""
        found = self.remembered(header)
        if found is not None:
            return found
        token = _token(header)
        if token.count(".") != 2:
            raise errors.TokenInvalid()
        found = await self._verify(token)
        self._remember(token, found)
        return found

    def _remember(self, token: str, found: Identity) -> None:
        if token not in self._cached:
            self._cached_bytes += len(token)
        self._cached[token] = found
        while self._cached_bytes > MAX_CACHE_BYTES:
            oldest = next(iter(self._cached))
            del self._cached[oldest]
            self._cached_bytes -= len(oldest)

    async def _verify(self, token: str) -> Identity:
        if self._keys is None or time.monotonic() - self._fetched > KEYS_TTL_S:
            await self._refresh()
        try:
            decoded = self._decode(token)
        except JoseError:
            # An unknown key may be a new one.
            if time.monotonic() - self._fetched < MIN_FETCH_INTERVAL_S:
                raise errors.TokenInvalid() from None
            await self._refresh()
            try:
                decoded = self._decode(token)
            except JoseError:
                raise errors.TokenInvalid() from None
        return identity.from_claims(self._accept(decoded.claims), decoded.header["kid"])

    def _decode(self, token: str) -> jwt.Token:
        assert self._keys is not None
        try:
            decoded = jwt.decode(token, self._keys, algorithms=["ES256"])
        except ValueError:
            raise errors.TokenInvalid() from None
        # A token without a key id would be held against the only key there is, and not be revoked with it.
        if decoded.header.get("typ") != _JWT_TYPE or not decoded.header.get("kid"):
            raise errors.TokenInvalid()
        return decoded

    def _accept(self, claims: dict[str, Any]) -> dict[str, Any]:
        now = time.time()
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != self._issuer or AUDIENCE not in named or not claims.get("sub"):
            raise errors.TokenInvalid()
        if not isinstance(claims.get("exp"), int | float):
            raise errors.TokenInvalid()
        if claims["exp"] + CLOCK_SKEW_S <= now:
            raise errors.TokenExpired()
        if claims.get("nbf", 0) > now + CLOCK_SKEW_S:
            raise errors.TokenInvalid()
        return claims

    async def _refresh(self) -> None:
        """Fetch the keys; concurrent callers share one fetch."""
        if self._fetching is None or self._fetching.done():
            # An empty context: the fetch serves many calls, so it must not inherit one call's deadline or span.
            self._fetching = asyncio.create_task(self._load(), context=Context())
            self._fetching.add_done_callback(_ignore_exception)
        await asyncio.shield(self._fetching)

    async def _load(self) -> None:
        try:
            keys = KeySet.import_key_set(json.loads(await self._fetch()))
        except Exception as error:
            if not self._failing:
                log.warning("keys_unavailable", error=type(error).__name__)
            self._failing = True
            if self._keys is None:
                raise errors.KeysUnavailable() from error
            # The old keys stay in use; a later call retries.
            self._fetched = time.monotonic() - KEYS_TTL_S + MIN_FETCH_INTERVAL_S
            return
        self._keys = keys
        self._failing = False
        self._fetched = time.monotonic()
        self._cached.clear()
        self._cached_bytes = 0


def _ignore_exception(task: asyncio.Task[None]) -> None:
    """Retrieve its exception, which is in the log: the callers that waited may have been cancelled."""
    if not task.cancelled():
        task.exception()


def _token(header: str) -> str:
    """The token of a `Bearer` header, its scheme in any case (RFC 9110, section 11.1); empty where it is another."""
    scheme, _, token = header.partition(" ")
    return token.strip(" ") if scheme.lower() == "bearer" else ""
