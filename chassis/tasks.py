"""Ending tasks: one cancellation may be lost, so nothing waits for what it has cancelled only once."""

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_S = 1.0
"""Seconds until what has not ended is cancelled again."""


async def end(futures: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks, and wait until each has ended, whatever comes of it.

    Again and again: `asyncio.wait_for` swallows a cancellation, before Python 3.12, where what it waits for is done at the same
    moment. So psycopg and its pool lose one that comes with a reply, and a statement may take one for an error of its own.
    """
    futures = list(futures)
    while pending := [each for each in futures if not each.done()]:
        for each in pending:
            each.cancel()
        await asyncio.wait(pending, timeout=AGAIN_S)
    await asyncio.gather(*futures, return_exceptions=True)
