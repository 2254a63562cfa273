"""A TCP proxy that goes silent: it takes everything and passes nothing on, as a broken network device does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Proxy:
    """Passes bytes on to an address. `mute` silences the connections of the moment, and not those that come after."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = host, port
        self._open: list[asyncio.Event] = []
        self._writers: list[asyncio.StreamWriter] = []
        self.connections = 0
        self.port = 0
        self.away = False
        """Whether whoever connects is hung up on."""

    def mute(self, most: int = 1000) -> None:
        """From now on the open connections pass nothing on, or only the given number of them does so."""
        for speaking in self._open[:most]:
            speaking.clear()

    def go_away(self) -> None:
        """Hang up everywhere, and on everybody who connects until `away` is false again."""
        self.away = True
        self.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.away:
            writer.close()
            return
        theirs, ours = await asyncio.open_connection(*self._upstream)
        self._writers += [writer, ours]
        speaking = asyncio.Event()
        speaking.set()
        self._open.append(speaking)
        await asyncio.gather(_pass_on(reader, ours, speaking), _pass_on(theirs, writer, speaking))
        self._open.remove(speaking)

    def close(self) -> None:
        """Hang up everywhere."""
        for writer in self._writers:
            writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, speaking: asyncio.Event) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            await speaking.wait()
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def serving(host: str, port: int) -> AsyncIterator[Proxy]:
    """A proxy in front of an address."""
    proxy = Proxy(host, port)
    server = await asyncio.start_server(proxy._connected, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.close()
