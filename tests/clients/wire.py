"""A network between client and server that can be cut: a TCP relay."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Wire:
    """Relays bytes to a server; `cut` breaks what runs, `open = False` refuses what comes."""

    def __init__(self, target: str) -> None:
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self._ends: set[asyncio.StreamWriter] = set()
        self._relays: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None
        self._listen = 0
        self._dead = False
        self.connections = 0

    @property
    def address(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self._listen}"

    async def open(self) -> None:
        """Listen, on the same port as before."""
        self._dead = False
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self._listen)
        self._listen = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Break all connections, without a good-bye; from any thread."""
        done = asyncio.run_coroutine_threadsafe(self._abort(), self._loop)
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop()
            return
        done.result(5)

    async def die(self) -> None:
        """Break all connections and refuse new ones."""
        self._dead = True
        if self._server is not None:
            self._server.close()
        while True:
            await self._abort()
            if not self._relays:
                return
            await asyncio.wait(self._relays, timeout=0.05)

    async def _abort(self) -> None:
        for end in list(self._ends):
            end.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._relays.add(task)
        task.add_done_callback(self._relays.discard)
        try:
            there, back = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.transport.abort()
            return
        self._ends |= {writer, back}
        if self._dead:
            await self._abort()
        await asyncio.gather(_pump(reader, back), _pump(there, writer))
        self._ends -= {writer, back}
        for end in (writer, back):
            with contextlib.suppress(OSError):
                await end.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@asynccontextmanager
async def wire_to(target: str) -> AsyncIterator[Wire]:
    """A wire for a block."""
    wire = Wire(target)
    await wire.open()
    try:
        yield wire
    finally:
        await wire.die()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
