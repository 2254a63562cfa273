"""LISTEN on a connection of its own, which is opened again when it is lost."""

import asyncio
from collections.abc import Callable, Mapping

import psycopg

from chassis.telemetry.logs import logger

log = logger("listener")
RECONNECT_DELAY_S = 1.0


async def listen(url: str, channels: Mapping[str, Callable[[str], None]]) -> None:
    """Call a channel's callback with each of its notifications, until cancelled.

    Every callback is also called after each connect, with nothing, because notifications may have been missed before it.
    """
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                for channel in channels:
                    await connection.execute(f"LISTEN {channel}")
                for on_notified in channels.values():
                    on_notified("")
                async for notification in connection.notifies():
                    channels[notification.channel](notification.payload)
        except psycopg.Error as error:
            log.warning("listener_lost", cause=type(error).__name__)
            await asyncio.sleep(RECONNECT_DELAY_S)
