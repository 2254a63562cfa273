"""Addresses as people write them → what gRPC connects to, and how."""

import ipaddress
import json
import os
from collections.abc import Sequence

_VERSION = "0.1.0"

OPTIONS: tuple[tuple[str, str | int], ...] = (
    # Stock gRPC sends everything to the first address that answers.
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
    # Clients in one process do not share connections: each balances and reconnects by itself.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # A replica that returns gets traffic within seconds.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 3_000),
    ("grpc.dns_min_time_between_resolutions_ms", 5_000),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    # As the services: between a soft and a hard limit gRPC refuses by chance.
    ("grpc.max_metadata_size", 64 * 1024),
    ("grpc.absolute_max_metadata_size", 64 * 1024),
    ("grpc.primary_user_agent", f"weft-client-python/{_VERSION}"),
)


def addresses_of(given: str | Sequence[str], secure: bool) -> list[str]:
    """`host:port` for each address of the edge; an `https://` or `http://` before it must match the client's `tls`.

    Raises `ValueError` for `http://` where the client speaks TLS, and for `https://` where it does not.
    """
    found = []
    for address in [given] if isinstance(given, str) else given:
        scheme, mark, rest = address.rpartition("://")
        if mark and scheme != ("https" if secure else "http"):
            spoken = "TLS" if secure else "plain text"
            wanted = "tls=Plaintext()" if secure else "no tls=Plaintext()"
            raise ValueError(f"{address}: this client speaks {spoken}; give {wanted} for {scheme}://.")
        found.append(rest.removesuffix("/") if mark else address)
    return found


def proxy(address: str) -> str:
    """The proxy that gRPC will use for an address, as the environment says; empty without one (gRPC core's own rules)."""
    names = ("grpc_proxy", "https_proxy", "http_proxy")
    named = next((os.environ[name] for name in names if os.environ.get(name)), "")
    spared = next((os.environ[name] for name in ("no_grpc_proxy", "no_proxy") if os.environ.get(name)), "")
    host = address.rpartition(":")[0].strip("[]")
    if not named or any(host.endswith(part.strip()) for part in spared.split(",") if part.strip()):
        return ""
    return named.rpartition("@")[2]  # without its password


def target(addresses: Sequence[str]) -> str:
    """The gRPC target of `host:port` addresses: one host name, or any number of IP addresses.

    Raises `ValueError` for several addresses of which one is a name: publish the replicas under one name instead.
    """
    if not addresses:
        raise ValueError("Name at least one address, such as localhost:8443.")
    if len(addresses) == 1 and not _is_ip(addresses[0]):
        return f"dns:///{addresses[0]}"
    if names := [address for address in addresses if not _is_ip(address)]:
        raise ValueError(f"Of several addresses each must be an IP address with a port; {names[0]} is not one.")
    family = "ipv6" if addresses[0].startswith("[") else "ipv4"
    return f"{family}:{','.join(addresses)}"


def _is_ip(address: str) -> bool:
    scheme, _, rest = address.partition("://")
    if rest:
        raise ValueError(f"{address} is not an address: write {rest}, without {scheme}://.")
    host, _, port = address.rpartition(":")
    if not port.isdigit() or not host:
        raise ValueError(f"{address} is not an address: write host:port.")
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
