"""The number of an order for people: 12 characters in three groups, to read out and to write down: `7K3M-Q0ZT-9XVM`.

Eleven characters of Crockford's base 32 are random (55 bits: nobody guesses one), the last one is a check. The characters
are the coefficients of a polynomial over GF(32) that is zero at 2, as in a Reed-Solomon code: one wrong character, or two
that have changed places, never make another number.
"""

import secrets

from chassis.errors import RequestInvalid

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)} | {"O": 0, "I": 1, "L": 1}
_RANDOM = 11
_BITS = 5 * _RANDOM
# Multiplication by 2 in GF(32) with x^5 + x^2 + 1.
_DOUBLED = [value << 1 ^ (0b100101 if value & 16 else 0) for value in range(32)]


def new() -> str:
    """A random number."""
    return of(secrets.randbits(_BITS))


def of(number: int) -> str:
    """The one of 55 bits."""
    values = [number >> shift & 31 for shift in range(0, _BITS, 5)]
    letters = "".join([_ALPHABET[value] for value in (*values, _check(values))])
    return f"{letters[:4]}-{letters[4:8]}-{letters[8:]}"


def read(text: str, field: str) -> str:
    """The number that was typed: in any case, with or without hyphens, O for 0, I or L for 1. Raises `RequestInvalid`."""
    letters = text.upper().replace("-", "").replace(" ", "")
    values = [_VALUES.get(letter, -1) for letter in letters]
    if len(values) != _RANDOM + 1 or min(values) < 0 or _check(values[:-1]) != values[-1]:
        raise RequestInvalid(violations=[(field, "is not the number of an order; a character may be mistyped")])
    letters = "".join([_ALPHABET[value] for value in values])
    return f"{letters[:4]}-{letters[4:8]}-{letters[8:]}"


def _check(values: list[int]) -> int:
    """The last coefficient, so that the polynomial is zero at 2."""
    remainder = 0
    for value in values:
        remainder = _DOUBLED[remainder] ^ value
    return _DOUBLED[remainder]
