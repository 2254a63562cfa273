"""Readiness probes: a part is ready when it answers, never after a delay."""

import asyncio
import contextlib
from pathlib import Path

from deploy.local.supervisor.part import Probe

Place = int | Path
"""Where something listens: a port of 127.0.0.1, or a Unix socket."""


def listens(place: Place) -> Probe:
    """Ready when it takes connections."""

    async def probe(_: int) -> bool:
        return await _ask(place, b"", 0) is not None

    return probe


def greets(port: int) -> Probe:
    """Ready when its SMTP greeting comes."""

    async def probe(_: int) -> bool:
        return (await _ask(port, b"", 4) or b"").startswith(b"220 ")

    return probe


def pongs(port: int, password: str) -> Probe:
    """Ready when Valkey answers PING with PONG."""
    question = f"AUTH {password}\r\nPING\r\n".encode()

    async def probe(_: int) -> bool:
        return await _ask(port, question, 12) == b"+OK\r\n+PONG\r\n"

    return probe


def answers(*places: tuple[Place, str]) -> Probe:
    """Ready when it answers an HTTP GET with 200 at each place and path."""

    async def probe(_: int) -> bool:
        for place, path in places:
            question = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            if b" 200 " not in (await _ask(place, question, 13) or b""):
                return False
        return True

    return probe


async def post(place: Place, path: str) -> None:
    """An HTTP POST without a body; its answer is waited for and dropped."""
    await _ask(
        place, f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode(), 13
    )


async def _ask(place: Place, question: bytes, size: int) -> bytes | None:
    """The first `size` bytes of the answer; None where nothing listens or answers in a second."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await (
                asyncio.open_connection("127.0.0.1", place)
                if isinstance(place, int)
                else asyncio.open_unix_connection(place)
            )
            try:
                writer.write(question)
                return await reader.readexactly(size) if size else b""
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, asyncio.IncompleteReadError, TimeoutError):
        return None
