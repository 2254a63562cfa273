"""LISTEN on a connection of its own, which is opened again when it is lost."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

from chassis.telemetry.logs import logger

log = logger("listener")
Result = TypeVar("Result")
RECONNECT_DELAY_S = 1.0
LOOK_INTERVAL_S = 60.0
"""Between two looks at a connection on which nothing comes. What comes wakes it, and so does its end."""


class Listening(psycopg.AsyncConnection[Any]):
    """Waits without the ten looks a second of its base class."""

    async def wait(self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = None) -> Result:
        """As in the base class."""
        return await super().wait(gen, max(interval, LOOK_INTERVAL_S), timeout)


async def listen(url: str, channels: Mapping[str, Callable[[str], None]]) -> None:
    """Call a channel's callback with each of its notifications, until cancelled.

    Every callback is also called after each connect, with nothing, because notifications may have been missed before it.
    """
    while True:
        try:
            async with await Listening.connect(url, autocommit=True) as connection:
                for channel in channels:
                    await connection.execute(f"LISTEN {channel}")
                for on_notified in channels.values():
                    on_notified("")
                async for notification in connection.notifies():
                    channels[notification.channel](notification.payload)
        except psycopg.Error as error:
            log.warning("listener_lost", cause=type(error).__name__)
            await asyncio.sleep(RECONNECT_DELAY_S)
