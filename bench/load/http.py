"""HTTP/1.1 with keep-alive, one request at a time on each connection; as lean as Python allows.

A source of requests gives whole requests as bytes, headers and body, `Host` included.
"""

import asyncio
import ssl
from collections.abc import Iterator

import httptools

from bench.load.loops import Send
from bench.load.plan import Plan


class Connection(asyncio.Protocol):
    """A connection that sends bytes and returns the status of the reply; the last body is kept."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[str] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._loop = asyncio.get_running_loop()
        self.body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Some of a reply came."""
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The server hung up."""
        self._transport = None
        if self._reply and not self._reply.done():
            self._reply.set_exception(exc or ConnectionResetError("the server closed the connection"))

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def on_message_begin(self) -> None:
        """A reply begins."""
        self.body = b""

    def on_body(self, body: bytes) -> None:
        """A piece of the reply's body."""
        self.body += body

    def on_message_complete(self) -> None:
        """The reply is whole."""
        if self._reply and not self._reply.done():
            self._reply.set_result(str(self._parser.get_status_code()))

    async def send(self, request: bytes) -> str:
        """Sends the request; the status of its reply, or `lost` where the connection broke."""
        if self._transport is None:
            return "lost"
        self._reply = self._loop.create_future()
        self._transport.write(request)
        try:
            return await self._reply
        except OSError:
            return "lost"


async def senders(plan: Plan, requests: Iterator[bytes]) -> tuple[list[Send], list[Connection]]:
    """`plan.concurrency` connections, spread over the targets."""
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context(cafile=plan.tls["ca"]) if plan.tls else None
    connections = []
    for number in range(plan.concurrency):
        host, _, port = plan.targets[number % len(plan.targets)].rpartition(":")
        _, connection = await loop.create_connection(Connection, host, int(port), ssl=context)
        connections.append(connection)
    return [_sender(connection, requests) for connection in connections], connections


def _sender(connection: Connection, requests: Iterator[bytes]) -> Send:
    async def send() -> str:
        status = await connection.send(next(requests))
        if status == "lost":
            await asyncio.sleep(0.01)
        return status

    return send
