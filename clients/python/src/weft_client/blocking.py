"""The blocking twin of `weft_client.aio.platform`."""

import threading
import time
from typing import Any

import grpc
from grpc import Channel

__all__ = ["Channel", "Ending", "Event", "Lock", "broken_off", "connect", "retire", "sleep", "wait"]

Event = threading.Event
Lock = threading.Lock
sleep = time.sleep
Ending = threading.Timer
"""A channel's end to come; it can be cancelled."""


def wait(event: Event, seconds: float) -> None:
    """Until it is set, for `seconds` at most."""
    event.wait(seconds)


def broken_off(_: BaseException) -> bool:
    """Never: a call that was cancelled raises an `RpcError`."""
    return False


def connect(target: str, credentials: grpc.ChannelCredentials | None, options: list[tuple[str, Any]]) -> Channel:
    """A channel; plain text where there are no credentials."""
    if credentials is None:
        return grpc.insecure_channel(target, options=options)
    return grpc.secure_channel(target, credentials, options=options)


def retire(channel: Channel, seconds: float) -> Ending:
    """Close a channel after `seconds`, when its running calls are done."""
    timer = threading.Timer(seconds, channel.close)
    timer.daemon = True
    timer.start()
    return timer
