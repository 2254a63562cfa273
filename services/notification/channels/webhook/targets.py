"""Whether a partner's address may be an endpoint: read by the library that will connect to it, so that both read the same.

A registration is refused early for the partner's sake. What protects is the check at each connection (`sender.py`).
"""

import asyncio
import re
import socket
from ipaddress import ip_address

from aiohttp.abc import AbstractResolver
from yarl import URL

from chassis.security.modes import TEST
from services.notification.channels.webhook.addresses import Guard

RESOLVE_TIMEOUT_S = 2.0
_TEXT = re.compile(r"[!-~\u0080-\uffff]+")
_NAME = re.compile(r"(?=.{1,254}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_NUMERIC = re.compile(r"(0[xX][0-9a-fA-F]*|[0-9]+)")
_FORM = "must be an address such as https://shop.example/hooks"
_PUBLIC = "must be an address on the public internet"


class TargetRefused(Exception):
    """The address cannot be an endpoint; the message completes a sentence that begins with its field."""


class Targets:
    """Reads and checks addresses."""

    def __init__(self, guard: Guard, names: AbstractResolver) -> None:
        self._guard = guard
        self._names = names

    async def accept(self, text: str, mode: str) -> str:
        """The address in its normal form. Raises `TargetRefused`.

        A name that does not resolve now may do so later: it is checked at each connection.
        """
        url = _parse(text)
        host, port = url.raw_host or "", url.port or 0
        addresses = await self._resolve(host)
        excepted = bool(addresses) and all(self._guard.is_excepted(address, port) for address in addresses)
        if url.scheme != "https" and mode != TEST and not excepted:
            raise TargetRefused("must begin with https://")
        if not all(self._guard.allows(address, port) for address in addresses):
            raise TargetRefused(_PUBLIC)
        return str(url)

    async def _resolve(self, host: str) -> list[str]:
        if _is_address(host):
            return [host]
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT_S):
                return [found["host"] for found in await self._names.resolve(host, 0, socket.AF_UNSPEC)]
        except (OSError, TimeoutError):
            return []


def _parse(text: str) -> URL:
    try:
        url = URL(text) if _TEXT.fullmatch(text) and "\\" not in text else URL()
        host, port, named = url.raw_host or "", url.port, url.user is not None or url.password is not None
    except (ValueError, UnicodeError):
        host, port, named, url = "", None, False, URL()
    if url.scheme not in ("http", "https") or not host or not port:
        raise TargetRefused(_FORM)
    authority = re.split(r"[/?#]", text.partition("//")[2], maxsplit=1)[0]
    if named or "@" in authority:
        raise TargetRefused("must have no user name and no password")
    if not _is_address(host) and ("[" in authority or not _NAME.fullmatch(host)):
        raise TargetRefused(_FORM)
    if url.raw_fragment or text.endswith("#"):
        raise TargetRefused("must have no fragment")
    last = host.rstrip(".").rpartition(".")[2]
    if not _is_address(host) and (not last or _NUMERIC.fullmatch(last)):
        # Another spelling of an address: decimal, octal, hexadecimal, shortened, or with a dot at its end.
        raise TargetRefused(_PUBLIC)
    return url


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
