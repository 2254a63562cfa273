"""Time zones by the names of the IANA database, from the package `tzdata`: the same on every machine."""

from collections.abc import Mapping
from functools import cache
from importlib import resources


def normalise(name: str) -> str:
    """`europe/vienna` is `Europe/Vienna`. Raises `ValueError` for what is no time zone."""
    try:
        return _names()[name.lower()]
    except KeyError:
        raise ValueError("not a time zone of the IANA database") from None


@cache
def _names() -> Mapping[str, str]:
    return {name.lower(): name for name in resources.files("tzdata").joinpath("zones").read_text().split()}
