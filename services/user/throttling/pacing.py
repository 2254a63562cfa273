"""Responses of equal duration, whatever was found."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def at_least(seconds: float) -> AsyncIterator[None]:
    """Make the block take at least `seconds`, also when it raises."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    try:
        yield
    finally:
        await asyncio.sleep(max(0.0, end - clock()))
