"""Access tokens verified by PyJWT, with the same cache of verified tokens that Weft has."""

import time
from dataclasses import dataclass

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from bench.peers.settings import Settings

CACHED_TOKENS = 10_000


@dataclass(frozen=True)
class Caller:
    """Who calls. `partner_id` is empty for users; `expires` is in Unix seconds."""

    subject: str
    partner_id: str
    scopes: frozenset[str]
    expires: float


class InvalidToken(Exception):
    """The token is missing, expired, or not ours."""


class Verifier:
    """Authenticates a caller by its bearer token."""

    def __init__(self, settings: Settings) -> None:
        key = load_pem_public_key(settings.jwt_public_key.encode())
        assert isinstance(key, EllipticCurvePublicKey)
        self._key = key
        self._issuer = settings.issuer
        self._cached: dict[str, Caller] | None = {} if settings.token_cache else None

    def verify(self, token: str) -> Caller:
        """The caller. Raises `InvalidToken`."""
        if self._cached is not None and (caller := self._cached.get(token)) and caller.expires > time.time():
            return caller
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=["ES256"],
                audience="weft",
                issuer=self._issuer,
                options={"require": ["exp", "sub", "aud", "iss"]},
            )
        except jwt.InvalidTokenError as error:
            raise InvalidToken(str(error)) from error
        scopes = frozenset(claims.get("scope", "").split())
        caller = Caller(claims["sub"], claims.get("partner", ""), scopes, float(claims["exp"]))
        if self._cached is not None:
            if len(self._cached) >= CACHED_TOKENS:
                self._cached.clear()
            self._cached[token] = caller
        return caller
