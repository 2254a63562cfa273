"""The rules of one-time codes (RFC 6238) and recovery codes."""

import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from chassis.errors import FailedPrecondition, Unauthenticated

ENROLMENT_LIFETIME = timedelta(minutes=15)
MAX_ENROLMENT_ATTEMPTS = 5
"""Wrong first codes; more would let whoever has stolen an access token guess the first code of a pending enrolment."""
STEP_S, DIGITS, SECRET_BYTES = 30, 6, 20
"""What every authenticator app understands: RFC 6238's defaults, and RFC 4226's recommended size of the secret."""
SKEW_STEPS = 1
"""How many steps the app's clock may be off, either way."""
RECOVERY_CODES = 10
MAX_DAILY_FAILURES = 50
"""Wrong codes of an account in a day from networks that it does not sign in from: a guess succeeds once in 333,333 times."""
NOTICED_FAILURES = 10
"""Wrong codes in a day of which the owner is told: whoever gave them has the password."""
DAY = timedelta(days=1)
ISSUER = "Weft"
"""The name that authenticator apps show."""

FACTORS = "totp_code, recovery_code"
"""What an account with one-time codes takes beside the password, for `SecondFactorRequired`."""
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_CODE_LETTERS = 16
_MISREAD = str.maketrans("ilo", "110")
"""Letters that are taken for digits; the alphabet is Crockford's base 32, which has none of them."""


class SecondFactorRequired(Unauthenticated):
    """The password is right; sign in again with a one-time code too: {factors}."""


class SecondFactorInvalid(Unauthenticated):
    """The one-time code or the recovery code is wrong or was used already."""


class TotpEnrolmentNotFound(FailedPrecondition):
    """This session has no pending enrolment; enroll again."""


class TotpNotEnabled(FailedPrecondition):
    """One-time codes are not enabled."""


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """What a call presents beside the password: one of two codes, or neither. With both, the recovery code is left alone."""

    totp_code: str = field(default="", repr=False)
    recovery_code: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        """Whether there is a code."""
        return bool(self.totp_code or self.recovery_code)


@dataclass(frozen=True, slots=True)
class Factor:
    """The authenticator app of a user: its secret, and the last step whose code was used.

    `failures` are wrong codes since `failures_since`; `remaining` are recovery codes that are not used yet.
    """

    secret: bytes = field(repr=False)
    last_step: int
    failures: int
    failures_since: datetime | None
    created_at: datetime
    remaining: int

    def step_of(self, code: str, now: datetime) -> int | None:
        """The step that a code belongs to; None for a wrong code, one of another time, and one that was used."""
        step = matching_step(self.secret, code, now)
        return step if step is not None and step > self.last_step else None

    def wait(self, now: datetime) -> timedelta | None:
        """How long networks that the account does not sign in from have to wait, where there were too many wrong codes."""
        if self.failures < MAX_DAILY_FAILURES or self.failures_since is None:
            return None
        left = self.failures_since + DAY - now
        return left if left > timedelta(0) else None


def matching_step(secret: bytes, code: str, now: datetime) -> int | None:
    """The step nearest to now, within `SKEW_STEPS`, that the code belongs to. Compares all of them, in constant time."""
    current, found = int(now.timestamp()) // STEP_S, None
    for skew in sorted(range(-SKEW_STEPS, SKEW_STEPS + 1), key=abs, reverse=True):
        if hmac.compare_digest(_totp(secret).generate((current + skew) * STEP_S), code.encode()):
            found = current + skew
    return found


def make_secret() -> bytes:
    """160 random bits."""
    return secrets.token_bytes(SECRET_BYTES)


def otpauth_uri(secret: bytes, email: str) -> str:
    """The URI that authenticator apps read from a QR code."""
    return _totp(secret).get_provisioning_uri(email, ISSUER)


def make_recovery_code() -> str:
    """80 random bits in four groups, such as `7k2m-9x4p-w3tq-5bcd`."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LETTERS))
    return "-".join(letters[start : start + 4] for start in range(0, _CODE_LETTERS, 4))


def normal_recovery_code(code: str) -> str:
    """The letters of a recovery code as somebody typed it: any case, grouping, and letters that look alike."""
    return code.lower().replace("-", "").replace(" ", "").translate(_MISREAD)


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, DIGITS, SHA1(), STEP_S)  # noqa: S303 - HMAC-SHA-1 is what authenticator apps know
