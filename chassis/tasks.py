"""Ending tasks: one cancellation may be lost, so nothing waits for what it has cancelled only once."""

import asyncio
from collections.abc import Iterable
from typing import Any

from chassis.telemetry.logs import logger

log = logger("tasks")
AGAIN_S = 1.0
"""Seconds until what has not ended is cancelled again."""
_PATIENCE = 5
"""Rounds after which the log says what does not end."""


async def end(futures: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks, and wait until each has ended, whatever comes of it; also while this wait is cancelled itself.

    Again and again: `asyncio.wait_for` swallows a cancellation, before Python 3.12, where what it waits for is done at the same
    moment. The pool of psycopg, redis and aiosmtplib wait so, and a statement may take a cancellation for an error of its own.
    """
    futures = list(futures)
    cancelled: asyncio.CancelledError | None = None
    rounds = 0
    while pending := [each for each in futures if not each.done()]:
        if (rounds := rounds + 1) == _PATIENCE:
            log.warning("tasks_do_not_end", tasks=[repr(each)[:200] for each in pending])
        for each in pending:
            each.cancel()
        try:
            await asyncio.wait(pending, timeout=AGAIN_S)
        except asyncio.CancelledError as error:
            cancelled = error
    for each in futures:
        if not each.cancelled():
            each.exception()  # whoever made it has no use for it now
    if cancelled is not None:
        raise cancelled
