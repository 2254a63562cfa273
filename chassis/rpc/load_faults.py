"""Classifies exceptions from libraries: temporary conditions, such as an unavailable database, are not internal errors.

An INTERNAL_FAULT is a bug, which the same call would hit again.
"""

from datetime import timedelta

import grpc
import psycopg
from weft_client import failures

from chassis.errors import DeadlineExpired, Overloaded, ResourceBusy, ServiceUnavailable, WeftError

RETRY_AFTER = timedelta(seconds=1)
_LATE = frozenset((grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED))
_UNREACHABLE = frozenset((grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, *_LATE))
_CONTENTION = frozenset(("40001", "40P01", "55P03"))
"""SQLSTATEs of lock conflicts: serialization failure, deadlock, lock time-out."""
_SERVER_FAULTS = frozenset(("08", "53", "57", "58"))
"""SQLSTATE classes of connection errors, insufficient resources, operator intervention and system errors."""


def passing(error: Exception) -> WeftError | None:
    """The error to answer with where the cause is temporary; None for a bug."""
    if isinstance(error, TimeoutError):
        return DeadlineExpired()
    if isinstance(error, psycopg.Error):
        return _of_database(error)
    if isinstance(error, failures.WeftError):
        return ServiceUnavailable() if error.code in _UNREACHABLE else None
    if isinstance(error, grpc.aio.AioRpcError):
        return ServiceUnavailable() if error.code() in _UNREACHABLE else None
    if isinstance(error, MemoryError) or "can't start new thread" in str(error):
        return Overloaded(retry_after=RETRY_AFTER)
    return ServiceUnavailable() if isinstance(error, OSError) else None


def _of_database(error: psycopg.Error) -> WeftError | None:
    state = error.sqlstate or ""
    if state == "57014":  # query cancelled: by its statement_timeout
        return DeadlineExpired()
    if state in _CONTENTION:
        return ResourceBusy(retry_after=RETRY_AFTER)
    if state[:2] in _SERVER_FAULTS or isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return ServiceUnavailable()
    # A transaction that the server has aborted, or a server that is a standby.
    return ServiceUnavailable() if state in ("25P02", "25P03", "25P04", "25006") else None
