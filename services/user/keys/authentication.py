"""How a user was authenticated, as access tokens say it."""

from dataclasses import dataclass
from datetime import datetime

PASSWORD, ONE_TIME, KEY, PRESENCE, MULTIPLE_FACTORS = "pwd", "otp", "pop", "user", "mfa"
"""Authentication methods, as in RFC 8176: a password, a one-time code, proof of a private key, a person who was present."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """How a session's user was authenticated (the claims `amr` and `acr`), and when (`auth_time`)."""

    methods: tuple[str, ...]
    at: datetime

    @property
    def level(self) -> str:
        """`aal2` where two factors were proven, otherwise `aal1`: the levels of NIST SP 800-63B."""
        return "aal2" if MULTIPLE_FACTORS in self.methods else "aal1"
