"""OTLP over gRPC from a thread of its own: bounded, so that nothing ever waits for a receiver.

Nothing in here logs: what a receiver refuses would come back as a line to be sent to it.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.sdk.resources import Resource
from prometheus_client import Counter

from chassis.faults import catalogue, switches

MAX_BUFFERED = 8192
"""When the buffer is full, what comes further is dropped: calls never wait."""
MAX_BATCH = 512
SEND_INTERVAL_S = 1.0
"""Maximum seconds between two exports; a full batch is sent immediately."""
_STOP_S = 3.0
_SEND_TIMEOUT_S = 2.0
Item = TypeVar("Item")


class Sender(Generic[Item]):
    """Exports items in batches. What cannot be delivered is counted in `lost` and dropped."""

    def __init__(
        self,
        endpoint: str,
        export: Callable[[grpc.Channel], Callable[..., Any]],
        encode: Callable[[Sequence[KeyValue], Sequence[Item]], Message],
        resource: Resource,
        lost: Counter,
    ) -> None:
        """`endpoint`: `http://host:port` without TLS, `https://` with, `unix:///path` for a socket.

        `export` takes the channel's stub method; `encode` makes its request of the resource's attributes and some items.
        """
        scheme, _, address = endpoint.rpartition("://")
        options = [("grpc.enable_http_proxy", 0)]  # a mesh reaches its own receiver directly
        if scheme == "https":
            channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(), options)
        else:
            channel = grpc.insecure_channel(f"unix:{address}" if scheme == "unix" else address, options)
        self._channel = channel
        self._export = export(channel)
        self._encode = encode
        self._resource = [key_value(key, value) for key, value in resource.attributes.items()]
        self._lost = lost
        self._waiting: deque[Item] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
        self._thread.start()

    def add(self, item: Item) -> None:
        """Queue an item; never waits. It must not change any more."""
        if len(self._waiting) >= MAX_BUFFERED:
            self._lost.inc()
            return
        self._waiting.append(item)
        if len(self._waiting) >= MAX_BATCH:
            self._wake.set()

    def stop(self) -> None:
        """Export what is left; takes at most 3 seconds."""
        self._stopping = True
        self._wake.set()
        self._thread.join(_STOP_S)
        self._channel.close()

    def _run(self) -> None:
        while not self._stopping:
            full = self._wake.wait(SEND_INTERVAL_S)
            self._wake.clear()
            self._deliver(MAX_BATCH if full else 1)  # few at a time would cost more than they weigh
        self._deliver(1)

    def _deliver(self, least: int) -> None:
        while len(self._waiting) >= least:
            items = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
            try:
                if switches.on(catalogue.TELEMETRY_LOST):
                    raise ConnectionError(catalogue.TELEMETRY_LOST)
                self._export(self._encode(self._resource, items), timeout=_SEND_TIMEOUT_S)
            except Exception:  # the receiver's, or of a value that cannot be written: the thread goes on
                self._lost.inc(len(items))


def key_value(key: str, value: Any) -> KeyValue:
    """An attribute."""
    return _text(key, value) if isinstance(value, str) else KeyValue(key=key, value=any_value(value))


@lru_cache(maxsize=1024)
def _text(key: str, value: str) -> KeyValue:
    """Cached: most attributes have the same value in every call."""
    return KeyValue(key=key, value=any_value(value))


def any_value(value: Any) -> AnyValue:
    """A value of an attribute; what OTLP has no type for is written as text."""
    if isinstance(value, str):
        # Half of a surrogate pair, as in what was read with `surrogateescape`, is no UTF-8.
        return AnyValue(string_value=value if value.isascii() else value.encode(errors="replace").decode())
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, list | tuple):
        found = AnyValue()
        found.array_value.values.extend([any_value(item) for item in value])
        return found
    return any_value(str(value))
