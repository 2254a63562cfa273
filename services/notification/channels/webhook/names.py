"""Resolves the names of webhooks' addresses, in threads of its own.

`getaddrinfo` blocks for many seconds where a name server does not answer. Each name takes one thread, however many wait for
it, and there are more threads than endpoints that may fail at once.

Partners make as many look-ups by registering as they like: those have threads of their own, and few wait.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

THREADS, MAX_WAITING = 64, 1000
THREADS_FOR_REGISTRATION, MAX_WAITING_FOR_REGISTRATION = 8, 16


class Names(AbstractResolver):
    """Asks the system's resolver; remembers nothing."""

    def __init__(self, threads: int = THREADS, max_running: int = MAX_WAITING) -> None:
        """`max_running` counts names that are looked up, those that wait for a thread included."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="names")
        self._max_running = max_running
        self._running: dict[str, asyncio.Future[list[Any]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name; concurrent look-ups of one share a thread. Raises `OSError`."""
        running = self._running.get(host)
        if running is None:
            if len(self._running) >= self._max_running:
                raise socket.gaierror(socket.EAI_AGAIN, "too many names are looked up")
            running = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host)
            self._running[host] = running
            running.add_done_callback(lambda done: self._done(host, done))
        found = await asyncio.shield(running)
        return [
            ResolveResult(hostname=host, host=address[0], port=port, family=kind, proto=proto, flags=0)
            for kind, _, proto, _, address in found
            if family in (socket.AF_UNSPEC, kind)
        ]

    async def close(self) -> None:
        """Forget what still runs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _done(self, host: str, done: asyncio.Future[list[Any]]) -> None:
        self._running.pop(host, None)
        if not done.cancelled():
            done.exception()  # whoever waited has it


def _look_up(host: str) -> list[Any]:
    try:
        return list(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG))
    except UnicodeError as error:  # a label that is too long
        raise socket.gaierror(socket.EAI_NONAME, "not a name") from error
