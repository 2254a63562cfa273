"""Slow senders are shown out: in headers, in bodies, and in silence. Judges time, so it runs under `make soak`."""

import asyncio
import time

import httpx
import pytest

from tests.edge import protocols
from tests.edge.conftest import Edge

pytestmark = pytest.mark.soak
HEADERS, REQUEST = 10, 30
"""Seconds that the edge waits for the headers, and for the whole request."""


async def dribble(edge: Edge, opening: bytes, drop: bytes, patience: float) -> tuple[float, bytes]:
    """Send a little each half second; the time until the edge answered or closed, and what it answered."""
    host, port = edge.target.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    began = time.monotonic()
    writer.write(opening)

    async def go_on() -> None:
        while True:
            await asyncio.sleep(0.5)
            writer.write(drop)
            await writer.drain()

    dribbling = asyncio.create_task(go_on())
    try:
        async with asyncio.timeout(patience):
            answer = await reader.read(65536)
    except ConnectionResetError:
        answer = b""
    finally:
        dribbling.cancel()
        await asyncio.gather(dribbling, return_exceptions=True)
        writer.close()
    return time.monotonic() - began, answer


async def test_slow_headers_and_slow_bodies_are_ended_while_others_are_served(edge: Edge) -> None:
    token = edge.mint()
    allowed = (
        f"authorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{{".encode()
    )
    body = b"POST /v1/orders HTTP/1.1\r\nhost: x\r\n" + allowed
    headers = b"GET /v1/orders HTTP/1.1\r\nhost: x\r\n"
    slow = asyncio.gather(
        *(dribble(edge, headers, b"a: b\r\n", HEADERS + 5) for _ in range(50)),
        *(dribble(edge, body, b" ", REQUEST + 5) for _ in range(50)),
    )
    async with httpx.AsyncClient(base_url=edge.url, headers={"authorization": f"Bearer {token}"}) as client:
        while not slow.done():
            assert (await client.get("/v1/orders/ord_1")).status_code == 200
            await asyncio.sleep(0.2)
    ended = await slow
    for took, answer in ended[:50]:
        assert HEADERS - 1 < took < HEADERS + 3, took
        assert answer.startswith(b"HTTP/1.1 408") or answer == b""
    for took, answer in ended[50:]:
        assert REQUEST - 1 < took < REQUEST + 3, took
        refusal = protocols.of_response(protocols.parsed(answer))
        assert (refusal.status, refusal.info.reason) == (408, "DEADLINE_EXPIRED")
