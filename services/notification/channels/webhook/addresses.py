"""Which addresses on the network a webhook may be sent to: those of the public internet, and those that a setting allows.

`WEFT_WEBHOOK_ALLOWED`, for local development, is a list of addresses or networks, each with a port or without:
`["127.0.0.1:8080", "10.1.0.0/16", "[::1]:8080"]`. Names are not allowed there: what counts is the address that is connected to.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from chassis.settings import SettingsError

_REFUSED_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",  # carrier-grade NAT; a cloud's metadata, too
            "127.0.0.0/8",
            "168.63.129.16/32",  # the host of a cloud's virtual machine
            "169.254.0.0/16",  # link-local; metadata
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.31.196.0/24",
            "192.52.193.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "192.175.48.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
"""IANA's special-purpose addresses, and what clouds keep behind public ones."""
_GLOBAL_6 = IPv6Network("2000::/3")
"""All that is assigned to the internet; mapped, translated, local and multicast addresses are outside of it."""
_REFUSED_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # Teredo, benchmarking, ORCHID and other protocols
            "2001:db8::/32",
            "2002::/16",  # 6to4: an IPv4 address inside
            "2620:4f:8000::/48",
            "3fff::/20",
        ),
    )
)
_TARGET = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:./]+)\]|(?P<four>[0-9a-fA-F:./]+?))(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True)
class Allowed:
    """A network, and the port in it, that webhooks may be sent to though it is not public; every port if it is 0."""

    network: IPv4Network | IPv6Network
    port: int


class AddressRefused(OSError):
    """A webhook would have gone to an address that is not on the public internet."""

    def __init__(self) -> None:
        super().__init__("not an address on the public internet")


class Guard:
    """Decides on addresses."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        """Raises `SettingsError` for what is no address or network."""
        self._allowed = tuple(map(_parse, allowed))

    def allows(self, address: str, port: int) -> bool:
        """Whether a connection to this address, in the form of the sockets' interface, may be made."""
        return self.is_excepted(address, port) or is_public(address)

    def is_excepted(self, address: str, port: int) -> bool:
        """Whether the setting allows it."""
        try:
            parsed = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(parsed in each.network and each.port in (0, port) for each in self._allowed)


def is_public(address: str) -> bool:
    """Whether an address in the form of the sockets' interface is on the public internet."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv4Address):
        return parsed.is_global and not any(parsed in network for network in _REFUSED_4)
    return _is_public_6(parsed)


def _is_public_6(address: IPv6Address) -> bool:
    inside = address in _GLOBAL_6 and not any(address in network for network in _REFUSED_6)
    return inside and address.is_global and address.scope_id is None


def _parse(text: str) -> Allowed:
    found = _TARGET.fullmatch(text)
    try:
        if found is None:
            raise ValueError(text)
        network = ip_network(found["six"] or found["four"])
        port = int(found["port"] or 0)
        if port > 65535:
            raise ValueError(text)
    except ValueError:
        raise SettingsError(
            f"WEFT_WEBHOOK_ALLOWED: {text!r} is not an address or a network such as 127.0.0.1:8080 or 10.1.0.0/16."
        ) from None
    return Allowed(network, port)
