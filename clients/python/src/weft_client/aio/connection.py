"""A channel to one target, with the calls bound to it; swapped for a new one when certificates change."""

import logging
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any, Protocol

from weft_client.aio.platform import Channel, Ending, connect, retire
from weft_client.calls.link import Link
from weft_client.calls.retries import Retries
from weft_client.target import OPTIONS, proxy, target
from weft_client.tls import MutualTls, Tls

log = logging.getLogger("weft_client.connection")

_CERTIFICATE_CHECK_INTERVAL_S = 1.0
"""How often the certificate files are checked for change."""
_RETIRE_GRACE_S = 600.0
"""How long running calls may use a replaced channel: longer than the contract gives any stream."""


class Bound(Protocol):
    """A method that wants to know its channel."""

    def bind(self, channel: Channel) -> None:
        """Use this channel from now on."""
        ...


class AsyncConnection:
    """Opened by the first call. `due` is when `check` wants to be called next, on the monotonic clock."""

    def __init__(
        self,
        addresses: Sequence[str],
        tls: Tls | MutualTls | None,
        retries: Retries,
        *,
        server_name: str = "",
        name: str = "edge",
        proxied: bool = True,
    ) -> None:
        """`server_name`: what the server's certificate must say, where it is not the host of the address; `name` is for logs.

        `proxied`: whether the environment's proxy is used, as gRPC does where nobody says otherwise.
        """
        self.due = 0.0
        self._addresses, self._tls, self._retries = addresses, tls, retries
        self._options: list[tuple[str, Any]] = [*OPTIONS]
        self._name = name
        self._proxied = proxied
        if not proxied:
            self._options.append(("grpc.enable_http_proxy", 0))
        if server_name and tls is not None:
            self._options.append(("grpc.ssl_target_name_override", server_name))
        elif len(addresses) > 1:
            self._options.append(("grpc.default_authority", addresses[0]))
        self._channel: Channel | None = None
        self._closed = False
        self._bound: list[Bound] = []
        self._retired: list[tuple[Channel, Ending]] = []
        self._lock = Lock()
        self._links: dict[str, Link] = {}
        self._loaded: tuple[int, ...] = ()
        self._seen: tuple[int, ...] = ()

    def add(self, bound: Bound) -> None:
        """Keep a method bound to the current channel."""
        self._bound.append(bound)
        if self._channel is not None:
            bound.bind(self._channel)

    def link(self, service: str) -> Link:
        """What is known about a service behind this connection."""
        if service not in self._links:
            self._links[service] = Link(service, self._retries)
        return self._links[service]

    def check(self, now: float) -> None:
        """Open the channel where there is none; swap it where the certificate files changed and have settled.

        Raises `OSError` where a certificate file cannot be read at first, `RuntimeError` after `close`.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("The client is closed.")
            files = self._tls.files if self._tls else ()
            marks = _marks(files)
            if self._channel is None:
                self._use(self._open(), marks)
            elif marks not in (self._loaded, ()) and marks == self._seen:
                # Certificate and key are renamed one after the other: a pair is taken when it did not change between two checks.
                self._swap(marks)
            self._seen = marks
            self.due = now + _CERTIFICATE_CHECK_INTERVAL_S if files else float("inf")

    async def close(self) -> None:
        """Close the channel; calls that still run end as cancelled."""
        self._closed, self.due = True, 0.0
        for channel, ending in self._retired:
            ending.cancel()
            await channel.close()
        if self._channel is not None:
            await self._channel.close()

    def _swap(self, marks: tuple[int, ...]) -> None:
        old = self._channel
        try:
            self._use(self._open(), marks)
        except OSError as error:
            log.warning("the new certificates for %s cannot be read, the old ones stay: %s", self._name, error)
            return
        log.info("certificates changed; reconnecting to %s", self._name)
        if old is not None:
            self._retired.append((old, retire(old, _RETIRE_GRACE_S)))

    def _open(self) -> Channel:
        if not self._addresses:
            raise ValueError(f"No address of the {self._name} service is known: add it to the client's peers.")
        if self._proxied and (used := proxy(self._addresses[0])):
            log.warning(
                "calls to %s go by the proxy %s of the environment; no_grpc_proxy excludes it", self._name, used
            )
        return connect(target(self._addresses), self._tls.credentials() if self._tls else None, self._options)

    def _use(self, channel: Channel, marks: tuple[int, ...]) -> None:
        self._channel, self._loaded = channel, marks
        for bound in self._bound:
            bound.bind(channel)


def _marks(files: Sequence[Path]) -> tuple[int, ...]:
    """What changes when a file is replaced or rewritten; empty where one is missing for the moment."""
    try:
        return tuple(mark for file in files for stat in [file.stat()] for mark in (stat.st_mtime_ns, stat.st_ino))
    except OSError:
        return ()


def opened(connection: AsyncConnection) -> None:
    """Have the connection ready for a call."""
    now = monotonic()
    if now >= connection.due:
        connection.check(now)
