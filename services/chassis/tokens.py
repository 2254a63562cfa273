"""Verification of access tokens: ES256 JWTs of type `at+jwt` (RFC 9068), with the issuer's published keys."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from services.chassis import errors, identity
from services.chassis.identity import Identity
from services.chassis.logs import logger

AUDIENCE = "weft"
SKEW = 60
"""Seconds that clocks may differ by."""
REFETCH = 10
"""The least number of seconds between two fetches of the keys, so that tokens with a made-up key id cost little."""
KEEP = 300
"""Seconds after which the keys are fetched anew, so that a retired key stops working."""
CACHE = 10_000
"""Verified tokens that are remembered in a process."""

type_ = "at+jwt"
Fetch = Callable[[], Awaitable[str]]
log = logger("tokens")


class Tokens:
    """Turns an `authorization` header into an `Identity`; a token is verified once and then looked up."""

    def __init__(self, issuer: str, fetch: Fetch) -> None:
        """`fetch` returns a JSON Web Key Set as text."""
        self._issuer = issuer
        self._fetch = fetch
        self._keys: KeySet | None = None
        self._fetched = 0.0
        self._fetching: asyncio.Task[None] | None = None
        self._known: dict[str, Identity] = {}

    def use(self, fetch: Fetch) -> None:
        """Take the keys from elsewhere: the issuer itself has them in its own database."""
        self._fetch = fetch

    def remembered(self, header: str) -> Identity | None:
        """The identity of a header that was verified with keys that still count, and has not ended; without waiting."""
        if time.monotonic() - self._fetched > KEEP:
            return None
        found = self._known.get(header)
        return found if found is not None and found.expires_at + SKEW > time.time() else None

    async def identify(self, header: str) -> Identity:
        """The caller of an `authorization` header. Raises `TokenInvalid`, `TokenExpired` or `KeysUnavailable`."""
        found = self.remembered(header)
        if found is not None:
            return found
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or token.count(".") != 2:
            raise errors.TokenInvalid()
        claims = await self._verify(token.strip())
        found = identity.from_claims(claims)
        if len(self._known) >= CACHE:
            self._known.clear()
        self._known[header] = found
        return found

    async def _verify(self, token: str) -> dict[str, Any]:
        if self._keys is None or time.monotonic() - self._fetched > KEEP:
            await self._refresh()
        try:
            claims = self._decode(token)
        except JoseError:
            # An unknown key may be a new one.
            if time.monotonic() - self._fetched < REFETCH:
                raise errors.TokenInvalid() from None
            await self._refresh()
            try:
                claims = self._decode(token)
            except JoseError:
                raise errors.TokenInvalid() from None
        return self._accept(claims)

    def _decode(self, token: str) -> dict[str, Any]:
        assert self._keys is not None
        try:
            decoded = jwt.decode(token, self._keys, algorithms=["ES256"])
        except ValueError:
            raise errors.TokenInvalid() from None
        if decoded.header.get("typ") != type_:
            raise errors.TokenInvalid()
        return decoded.claims

    def _accept(self, claims: dict[str, Any]) -> dict[str, Any]:
        now = time.time()
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != self._issuer or AUDIENCE not in named or not claims.get("sub"):
            raise errors.TokenInvalid()
        if not isinstance(claims.get("exp"), int | float):
            raise errors.TokenInvalid()
        if claims["exp"] + SKEW <= now:
            raise errors.TokenExpired()
        if claims.get("nbf", 0) > now + SKEW:
            raise errors.TokenInvalid()
        return claims

    async def _refresh(self) -> None:
        """Fetch the keys: many callers, one fetch."""
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._load())
        await asyncio.shield(self._fetching)

    async def _load(self) -> None:
        try:
            keys = KeySet.import_key_set(json.loads(await self._fetch()))
        except Exception as error:
            log.warning("keys_unavailable", error=type(error).__name__)
            if self._keys is None:
                raise errors.KeysUnavailable() from error
            # Old keys verify old tokens; the next call tries again.
            self._fetched = time.monotonic() - KEEP + REFETCH
            return
        self._keys = keys
        self._fetched = time.monotonic()
        self._known.clear()
