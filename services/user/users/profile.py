"""What people say of themselves: time zone and postal addresses, in their one form."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from importlib import resources

from chassis import ids
from chassis.errors import RequestInvalid
from chassis.values import time_zones


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address. Of a user's addresses exactly one is the default."""

    address_id: str
    recipient: str = field(repr=False)
    lines: tuple[str, ...] = field(repr=False)
    locality: str = field(repr=False)
    administrative_area: str = field(repr=False)
    postal_code: str = field(repr=False)
    region_code: str = field(repr=False)
    is_default: bool


def normal_time_zone(name: str, within: str = "") -> str:
    """The canonical name of a time zone; empty if it is empty. Raises `RequestInvalid`; the field is in `within`."""
    try:
        return time_zones.normalise(name) if name else ""
    except ValueError:
        wanted = "must be a time zone of the IANA database, such as Europe/Vienna"
        raise RequestInvalid(violations=[(f"{within}time_zone", wanted)]) from None


def normal_addresses(
    given: Sequence[Address], known: Collection[str], now: datetime, within: str = ""
) -> tuple[Address, ...]:
    """The addresses with an id each and one default. `known` are the ids that the user's addresses have.

    Raises `RequestInvalid` for an id that is not known or used twice, a second default, and what is no country.
    """
    wrong: list[tuple[str, str]] = []
    seen: set[str] = set()
    defaults = 0
    for place, address in enumerate(given):
        at = f"{within}addresses[{place}]"
        if address.address_id and (address.address_id not in known or address.address_id in seen):
            wrong.append((f"{at}.address_id", "must be the id of one of the user's addresses, once, or left out"))
        seen.add(address.address_id)
        defaults += address.is_default
        if address.is_default and defaults > 1:
            wrong.append((f"{at}.is_default", "must be true of one address only"))
        if address.region_code not in _countries():
            wrong.append((f"{at}.region_code", "must be a country of ISO 3166-1, such as AT"))
    if wrong:
        raise RequestInvalid(violations=wrong)
    return tuple(
        replace(
            address,
            address_id=address.address_id or ids.new("adr", now),
            is_default=address.is_default or (place == 0 and not defaults),
        )
        for place, address in enumerate(given)
    )


@cache
def _countries() -> frozenset[str]:
    table = resources.files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text("utf-8")
    return frozenset(line[:2] for line in table.splitlines() if not line.startswith("#"))
