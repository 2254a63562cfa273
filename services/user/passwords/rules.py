"""Which passwords are taken (NIST SP 800-63B, 3.1.1.2): long enough, in no list that attackers have, and not one's own name.

No characters are demanded or forbidden. What counts is the form that is hashed: composed characters, ASCII spaces.
"""

import functools
from collections.abc import Iterable
from pathlib import Path

from chassis.errors import InvalidArgument, RequestInvalid
from chassis.values.plain_text import composed, folded
from chassis.values.text_set import TextSet

MIN_LENGTH = 12
"""Characters (code points), as in the contract, which counts them before they are composed."""
_MIN_DISTINCT = 4
_FOLDER = Path(__file__).parent
_DISGUISES = str.maketrans("013457@$!", "oleastasi")
_ORNAMENTS = "0123456789 .,;:!?@#$%^&*()-_=+"


class PasswordTooCommon(InvalidArgument):
    """The password is in a list of common or breached passwords, or is your own name or address; choose another."""


def refuse_weak(password: str, field: str, names: Iterable[str] = ()) -> None:
    """Refuse a password that is easily guessed; `field` is the request's, `names` are the owner's name and address.

    Raises `RequestInvalid` for one that is too short, and `PasswordTooCommon` for a listed one (in any case, with digits and
    signs around it, or disguised: `P@ssw0rd2024!!`), for under four characters that differ, and for one of `names`.
    """
    if len(composed(password)) < MIN_LENGTH:
        raise RequestInvalid(violations=[(field, f"must have at least {MIN_LENGTH} characters")])
    whole = folded(password)
    bare = whole.strip(_ORNAMENTS)
    forms = {whole, bare, whole.translate(_DISGUISES), bare.translate(_DISGUISES)}
    own = {form for name in names for form in _forms_of_name(folded(name))}
    listed = not own.isdisjoint(forms) or not _common().isdisjoint(forms) or any(form in _breached() for form in forms)
    if listed or len(set(whole)) < _MIN_DISTINCT:
        raise PasswordTooCommon(violations=[(field, "must be none that is easily guessed")])


def _forms_of_name(name: str) -> set[str]:
    """A name or an address, and the address's local part, as they are and as a password would have them."""
    found = {name, name.partition("@")[0]}
    return (found | {form.strip(_ORNAMENTS) for form in found}) - {""}


@functools.cache
def _common() -> frozenset[str]:
    text = (_FOLDER / "common_passwords.txt").read_text()
    return frozenset(line for line in text.split("\n") if line and not line.startswith("#"))


@functools.cache
def _breached() -> TextSet:
    """Made by `codegen/breached_passwords.py`, which says where it is from."""
    return TextSet(_FOLDER / "breached.bin")
