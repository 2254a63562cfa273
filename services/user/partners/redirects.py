"""What a redirect URI may be (RFC 6749, section 3.1.2; RFC 8252, section 7). Pure."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

_VISIBLE = re.compile(r"[\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]*")
"""What a URI may be written with (RFC 3986): visible ASCII without quotes, brackets, backslash, ^, ` and |."""


def problem_of_redirect_uri(uri: str, *, native: bool) -> str:
    """What is wrong with a redirect URI (RFC 6749, section 3.1.2; RFC 8252, section 7); empty if it is fine."""
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname or "", parts.port  # reading the port checks it
    except ValueError:
        return "must be an absolute URI"
    if not parts.scheme or "#" in uri or not _VISIBLE.fullmatch(uri):
        return "must be an absolute URI in ASCII without a fragment"
    if "@" in parts.netloc or ".." in parts.path.split("/"):
        return "must not contain a user name or `..`"
    if parts.scheme in ("http", "https"):
        if not host:
            return "must name a host"
        if parts.scheme == "http" and host != "localhost" and not is_loopback(parts):
            return "must be https, unless its host is 127.0.0.1, [::1] or localhost"
        return ""
    # A dot: schemes such as javascript and data have none, and the owner of a domain has a claim to its reverse.
    if not native:
        return "must be https: only a client that does not authenticate has a scheme of its own"
    if "." not in parts.scheme or parts.netloc:
        return "must have a scheme with a dot, such as com.example.app:/callback"
    return ""


def is_loopback(parts: SplitResult) -> bool:
    """Whether the host is a loopback address, not a name."""
    try:
        return parts.scheme == "http" and ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
