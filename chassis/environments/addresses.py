"""What rules ask of addresses."""

import ipaddress
from urllib.parse import SplitResult, urlsplit

_EXAMPLES = ("weft.local", "example", "invalid", "localhost")
"""Domains of examples and of development: nobody on the Internet has a name under them (RFC 2606, RFC 6761)."""


def split(url: str) -> SplitResult:
    """The parts of a URL; none of what is malformed, which other checks say."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return urlsplit("")
    return parts


def is_example(host: str) -> bool:
    """Whether a host or a domain is one of examples, so nobody has replaced it."""
    return any(host.lower().rstrip(".") == name or host.lower().rstrip(".").endswith(f".{name}") for name in _EXAMPLES)


def is_local(host: str) -> bool:
    """Whether what is sent to a host crosses no network: it is a Unix socket, or this machine's loopback interface."""
    if host.startswith(("/", "@")) or host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def crosses_in_the_clear(url: str) -> bool:
    """Whether a URL is `http://` to another machine."""
    parts = split(url)
    return parts.scheme == "http" and not is_local(parts.hostname or "")
