"""Where a call comes from, for counting: keyed hashes, so that the cache contains no addresses."""

import ipaddress
from dataclasses import dataclass

from chassis.rpc.call import Call
from chassis.security.encryption import Vault
from services.user.users.domain import fold


@dataclass(frozen=True, slots=True)
class Origin:
    """Keyed hashes of the e-mail address that a call names, and of the caller's network and neighbourhood."""

    account: str
    address: str
    neighbourhood: str = ""

    @property
    def pair(self) -> str:
        """Account and network."""
        return f"{self.account}:{self.address}"


class Origins:
    """Computes the origins of calls."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def of(self, email: str, call: Call) -> Origin:
        """The origin of a call that names an e-mail address."""
        address = call.client_address
        return Origin(
            self._vault.lookup(fold(email), "attempts.account").hex()[:32],
            self._vault.lookup(network(address), "attempts.address").hex()[:32],
            self._vault.lookup(neighbourhood(address), "attempts.neighbourhood").hex()[:32],
        )


def network(address: str) -> str:
    """What counts as one caller: an IPv4 address or an IPv6 /64; empty for anything else."""
    return _block(address, 32, 64)


def neighbourhood(address: str) -> str:
    """The block that one attacker easily controls: an IPv4 /24 or an IPv6 /48; empty for anything else."""
    return _block(address, 24, 48)


def _block(address: str, bits: int, bits_v6: int) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.ip_network((parsed.packed, bits_v6), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed) if bits == 32 else str(ipaddress.ip_network((parsed.packed, bits), strict=False))
