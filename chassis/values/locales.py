"""Language tags (BCP 47): normalisation and matching, with the registry of `langcodes`."""

import re
from collections.abc import Collection, Sequence

import langcodes
from langcodes import language_distance

MAX_TAG_LENGTH = 35
"""The tag length that every implementation must support (RFC 5646, 4.4.1), and the bound of the contract."""

_MAX_DISTANCE = 10
"""Of a match: Swiss German is served German (8), Ukrainian is not served Russian (24)."""
_MAX_RANGES = 20
_MAX_HEADER_LENGTH = 1000
_MAX_CACHED_TAGS = 2000
_WEIGHT = re.compile(r"[qQ]\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")


def normalise(tag: str) -> str:
    """`DE` is `de`, `de_at` is `de-AT`, `iw` is `he`. Raises `ValueError` for what is no language tag."""
    if len(tag) > MAX_TAG_LENGTH:
        raise ValueError(f"a language tag has at most {MAX_TAG_LENGTH} characters")
    _forget()
    return langcodes.standardize_tag(tag)


def best(wanted: str, available: Collection[str]) -> str | None:
    """The one of the available tags that serves a reader of the wanted one, or None where none does.

    Takes whatever was kept before there was a bound: of a long or broken tag the beginning counts.
    """
    if len(wanted) > MAX_TAG_LENGTH:
        wanted = wanted[: MAX_TAG_LENGTH + 1].rpartition("-")[0]
    for tag in (wanted, wanted.partition("-")[0]):
        try:
            return langcodes.closest_supported_match(normalise(tag), sorted(available), _MAX_DISTANCE)
        except ValueError:
            continue
    return None


def accept_language(header: str, available: Collection[str], default: str) -> str:
    """The one of the available tags that an `accept-language` asks for most (RFC 9110, 12.5.4), or the default.

    Of a longer header the first 1,000 characters and 20 languages count.
    """
    ranges = header[:_MAX_HEADER_LENGTH].split(",", _MAX_RANGES)[:_MAX_RANGES]
    weighed = [(_weight(parameters), tag.strip()) for tag, _, parameters in (part.partition(";") for part in ranges)]
    refused = {tag.lower() for weight, tag in weighed if weight == 0}
    offered = [tag for tag in available if tag.lower() not in refused]
    for weight, tag in sorted(weighed, key=lambda each: -each[0]):
        if weight == 0:
            break
        found = _unnamed(weighed, available, default) if tag == "*" else best(tag, offered)
        if found is not None:
            return found
    return default


def _unnamed(weighed: Sequence[tuple[float, str]], available: Collection[str], default: str) -> str | None:
    """What `*` stands for: any language that the header does not name, the default before others."""
    named = {tag.lower() for _, tag in weighed}
    unnamed = [tag for tag in available if tag.lower() not in named]
    return default if default in unnamed else min(unnamed, default=None)


def _weight(parameters: str) -> float:
    if not parameters.strip():
        return 1.0
    found = _WEIGHT.fullmatch(parameters.strip())
    return float(found[1]) if found else 0.0


def _forget() -> None:
    # The library remembers every tag that it has ever seen, and strangers think of new ones.
    if len(langcodes.Language._PARSE_CACHE) > _MAX_CACHED_TAGS:
        langcodes.Language._PARSE_CACHE.clear()
        langcodes.Language._INSTANCES.clear()
        language_distance._DISTANCE_CACHE.clear()
