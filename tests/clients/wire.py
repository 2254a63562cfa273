"""A network between client and server that can be cut: a TCP relay."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


class Wire:
    """Relays bytes to a server. `cut` breaks what runs; `die` also refuses what comes, until `open`."""

    def __init__(self, target: str) -> None:
        self._target = target.rpartition(":")
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._listener: socket.socket | None = None
        self._accepted: list[socket.socket] = []
        self._port = 0
        self.connections = 0

    @property
    def address(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self._port}"

    def open(self) -> None:
        """Listen, on the same port as before."""
        listener = self._listener = socket.create_server(("127.0.0.1", self._port))
        listener.setblocking(False)
        self._port = listener.getsockname()[1]
        self._loop.add_reader(listener, self._accept, listener)

    def cut(self) -> None:
        """Break all connections, without a good-bye; from another thread, such as a fake's."""
        asyncio.run_coroutine_threadsafe(self._abort(), self._loop).result(5)

    def lead_to(self, target: str) -> None:
        """Relay to another server: what runs is broken."""
        self._target = target.rpartition(":")
        for end in list(self._ends):
            end.transport.abort()

    async def die(self) -> None:
        """Break all connections and refuse new ones."""
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in self._accepted:
            connection.close()  # for those whose relay was cancelled before it began
        self._accepted.clear()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _abort(self) -> None:
        for end in list(self._ends):
            end.transport.abort()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            self.connections += 1
            self._accepted.append(connection)
            self._start(self._relay(connection))

    async def _relay(self, connection: socket.socket) -> None:
        host, _, port = self._target
        ends: list[asyncio.StreamWriter] = []
        with contextlib.suppress(OSError):
            try:
                reader, writer = await asyncio.open_connection(sock=connection)
                ends.append(writer)
                there, back = await asyncio.open_connection(host, int(port))
                ends.append(back)
                self._ends.update(ends)
                await asyncio.gather(_pump(reader, back), _pump(there, writer))
            finally:
                self._ends.difference_update(ends)
                for end in ends:
                    end.transport.abort()
                connection.close()
                with contextlib.suppress(ValueError):
                    self._accepted.remove(connection)


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
    wire.open()
    try:
        yield wire
    finally:
        await wire.die()
