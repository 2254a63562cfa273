"""Callers' times, made safe to reckon with.

A timestamp of a request lies between the years 1 and 9999, or validation has refused it. .NET's and Go's zero time is the
first moment of the year 1: a millisecond less does not exist in Python.
"""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""Nothing of ours is older or newer, ids are made of such times, and there is room for arithmetic on either side."""


def clamped(timestamp: Timestamp) -> datetime:
    """A caller's time, moved into `EARLIEST` to `LATEST`: to compare with ours, not to be shown to anybody."""
    return min(max(EARLIEST, timestamp.ToDatetime(UTC)), LATEST)
