"""All that differs between the flavours: how to wait, lock, connect and let go. `weft_client.blocking` is its twin."""

import asyncio
import contextlib
from typing import Any

import grpc
from grpc.aio import Channel

__all__ = ["Channel", "Ending", "Event", "Lock", "broken_off", "connect", "retire", "sleep", "wait"]

Event = asyncio.Event
Lock = asyncio.Lock
sleep = asyncio.sleep
Ending = asyncio.Task[None]
"""A channel's end under way; it can be cancelled."""


async def wait(event: Event, seconds: float) -> None:
    """Until it is set, for `seconds` at most."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def broken_off(error: BaseException) -> bool:
    """Whether a call was cancelled, and not the task that awaits it."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and not task.cancelling()


def connect(target: str, credentials: grpc.ChannelCredentials | None, options: list[tuple[str, Any]]) -> Channel:
    """A channel; plain text where there are no credentials."""
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=options)
    return grpc.aio.secure_channel(target, credentials, options=options)


def retire(channel: Channel, seconds: float) -> Ending:
    """Close a channel once its running calls are done, at the latest after `seconds`."""
    return asyncio.get_running_loop().create_task(channel.close(grace=seconds))
