"""Signing key and access tokens for the peers, with the claims that Weft's tokens carry."""

import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

ISSUER = "https://weft.local"


class Signer:
    """Mints ES256 access tokens with a key of its own."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public_key(self) -> str:
        """In PEM."""
        encoded = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return encoded.decode()

    def token(self, subject: str, scope: str, partner_id: str = "", seconds: float = 3600) -> str:
        """An access token that lives for `seconds`."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": "weft",
            "sub": subject,
            "client_id": subject,
            "scope": scope,
            "partner": partner_id,
            "plan": "premium",
            "mode": "LIVE",
            "jti": f"{subject}-{now}",
            "iat": now,
            "exp": now + int(seconds),
        }
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"typ": "at+jwt", "kid": "bench"})
