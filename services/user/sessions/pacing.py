"""Answers that take the same time, whatever was found."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def at_least(seconds: float) -> AsyncIterator[None]:
    """Let a block, also one that raises, take no less than so long."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    try:
        yield
    finally:
        await asyncio.sleep(max(0.0, end - clock()))
