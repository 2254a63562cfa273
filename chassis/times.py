"""Times in messages: ours, and those of callers made safe to reckon with.

A timestamp of a request lies between the years 1 and 9999, or validation has refused it. .NET's and Go's zero time is the
first moment of the year 1: a millisecond less does not exist in Python.
"""

from datetime import UTC, datetime, timedelta
from typing import overload

from google.protobuf.timestamp_pb2 import Timestamp

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""Nothing of ours is older or newer, ids are made of such times, and there is room for arithmetic on either side."""

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@overload
def timestamp(time: datetime) -> Timestamp: ...
@overload
def timestamp(time: None) -> None: ...
@overload
def timestamp(time: datetime | None) -> Timestamp | None: ...
def timestamp(time: datetime | None) -> Timestamp | None:
    """As a message has it; None for none. Takes a third of the time of `FromDatetime`."""
    if time is None:
        return None
    seconds, micros = divmod((time - _EPOCH) // _MICROSECOND, 1_000_000)
    return Timestamp(seconds=seconds, nanos=micros * 1000)


def clamped(timestamp: Timestamp) -> datetime:
    """A caller's time, moved into `EARLIEST` to `LATEST`: to compare with ours, not to be shown to anybody."""
    return min(max(EARLIEST, timestamp.ToDatetime(UTC)), LATEST)
