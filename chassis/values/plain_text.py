"""Text from outside, made fit to be shown on a line, kept in a row, sent in a header, or compared."""

import re
import unicodedata

_CONTROLS = re.compile("[\x00-\x20\x7f-\x9f\u2028\u2029]+")
"""Runs of ASCII spaces and of what moves a cursor or ends a line. Other spaces, such as the ideographic one, are letters."""
_BIDI_OVERRIDES = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""What turns the direction of the text that follows (Unicode, UAX 9). Joiners and direction marks stay: names need them."""
_SURROGATES = re.compile("[\ud800-\udfff]")
"""Halves of characters, which Python makes of bytes that are no UTF-8, and which nothing can encode."""


def single_line(text: str, limit: int) -> str:
    """One line of at most `limit` characters. Takes time by `limit`, not by the length of the text."""
    text = text[: limit * 4]
    if not (text.isascii() and text.isprintable()):
        text = _BIDI_OVERRIDES.sub("", _SURROGATES.sub("\ufffd", text))
        text = _CONTROLS.sub(" ", text)
    elif "  " in text:  # each pattern looks at every character: six times the cost of these three questions
        text = _CONTROLS.sub(" ", text)
    return text[: limit + 1].strip(" ")[:limit].rstrip(" ")


def composed(text: str) -> str:
    """The form in which texts that look the same are the same (NFKC); every space of Unicode is the ASCII one."""
    return unicodedata.normalize("NFKC", text).replace("\u1680", " ")  # the one space that NFKC leaves


def folded(text: str) -> str:
    """`composed`, without differences of case."""
    return composed(text).casefold()
