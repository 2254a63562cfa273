"""How many parts a text message is sent, and charged, as (3GPP TS 23.038 and 23.040)."""

_GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_7_EXTENDED = frozenset("\f^{}\\[~]|€")
"""Characters that take two septets."""


def count(text: str) -> int:
    """Segments: 160 septets of GSM-7 in one, 153 in each of several; or 70 and 67 UTF-16 code units, if another character is in it."""
    if all(character in _GSM_7 or character in _GSM_7_EXTENDED for character in text):
        sizes = [2 if character in _GSM_7_EXTENDED else 1 for character in text]
        return _segments(sizes, alone=160, joined=153)
    return _segments([2 if ord(character) > 0xFFFF else 1 for character in text], alone=70, joined=67)


def _segments(sizes: list[int], alone: int, joined: int) -> int:
    if sum(sizes) <= alone:
        return 1
    segments, room = 1, joined
    for size in sizes:  # an escape and a surrogate pair are never split between two segments
        if size > room:
            segments, room = segments + 1, joined
        room -= size
    return segments
