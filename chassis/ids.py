"""TypeIDs: a prefix and a time-ordered UUIDv7 (RFC 9562) in Crockford's base 32, such as `ord_01k…`."""

import os
import time
from datetime import UTC, datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_VALUE = {letter: value for value, letter in enumerate(_ALPHABET)}


def new(prefix: str, now: datetime | None = None, entropy: bytes = b"") -> str:
    """A new id of the present time, or of `now`; of 10 bytes of entropy where it has to be made again."""
    milliseconds = int(now.timestamp() * 1000) if now else time.time_ns() // 1_000_000
    random = int.from_bytes(entropy or os.urandom(10))
    value = (
        (milliseconds << 80) | (0x7 << 76) | ((random >> 68 & 0xFFF) << 64) | (0b10 << 62) | (random & (1 << 62) - 1)
    )
    return f"{prefix}_{encode(value)}"


def first(prefix: str, time: datetime) -> str:
    """The bound of the ids of a time, to the millisecond: those made since are not less. UTC where `time` has no zone."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return f"{prefix}_{encode(max(0, int(aware.timestamp() * 1000)) << 80)}"


def encode(value: int) -> str:
    """128 bits as 26 letters, two at a time."""
    pairs = _PAIRS
    return "".join([pairs[value >> shift & 1023] for shift in range(120, -1, -10)])


def time_of(identifier: str) -> datetime:
    """When an id was made, to the millisecond. Raises `ValueError` for what is no id."""
    letters = identifier.rpartition("_")[2]
    if len(letters) != 26 or not set(letters) <= _VALUE.keys():
        raise ValueError(f"{identifier!r} is not an id")
    value = 0
    for letter in letters[:10]:
        value = value << 5 | _VALUE[letter]
    return datetime.fromtimestamp(value / 1000, UTC)
