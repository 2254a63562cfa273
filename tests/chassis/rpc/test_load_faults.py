"""Transient failures are never reported as a fault of the program."""

import errno
from typing import Any

import psycopg
import pytest
from weft_client import failures

from chassis.rpc import load_faults
from chassis.rpc.call import Call
from tests.chassis.probe import contract as pb
from tests.chassis.probe.service import ITEM, Items, serving, unary
from tests.harness import Harness, assert_refused

PASSING = [
    (TimeoutError(), "DEADLINE_EXPIRED"),
    (psycopg.errors.QueryCanceled(), "DEADLINE_EXPIRED"),
    (psycopg.errors.LockNotAvailable(), "RESOURCE_BUSY"),
    (psycopg.errors.DeadlockDetected(), "RESOURCE_BUSY"),
    (psycopg.errors.SerializationFailure(), "RESOURCE_BUSY"),
    (psycopg.errors.TooManyConnections(), "SERVICE_UNAVAILABLE"),
    (psycopg.errors.OutOfMemory(), "SERVICE_UNAVAILABLE"),
    (psycopg.errors.AdminShutdown(), "SERVICE_UNAVAILABLE"),
    (psycopg.errors.IdleInTransactionSessionTimeout(), "SERVICE_UNAVAILABLE"),
    (psycopg.errors.ReadOnlySqlTransaction(), "SERVICE_UNAVAILABLE"),
    (psycopg.OperationalError("the connection is lost"), "SERVICE_UNAVAILABLE"),
    (psycopg.InterfaceError("the connection is closed"), "SERVICE_UNAVAILABLE"),
    (failures.Unavailable("away"), "SERVICE_UNAVAILABLE"),
    (failures.CircuitOpen("left alone"), "SERVICE_UNAVAILABLE"),
    (failures.DeadlineExceeded("late"), "SERVICE_UNAVAILABLE"),
    (failures.RateLimited("full"), "SERVICE_UNAVAILABLE"),
    (ConnectionResetError(), "SERVICE_UNAVAILABLE"),
    (OSError(errno.EMFILE, "too many open files"), "SERVICE_UNAVAILABLE"),
    (MemoryError(), "OVERLOADED"),
    (RuntimeError("can't start new thread"), "OVERLOADED"),
]
LASTING = [
    ZeroDivisionError(), RuntimeError("other"), LookupError(), psycopg.errors.UniqueViolation(),
    psycopg.errors.UndefinedColumn(), failures.InvalidArgument("ours"), failures.Internal("theirs"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "reason"), PASSING, ids=lambda value: getattr(value, "__class__", value).__name__)
def test_what_passes_has_a_reason_that_says_so(error: Exception, reason: str) -> None:
    found = load_faults.passing(error)
    assert found is not None
    assert found.reason == reason


@pytest.mark.parametrize("error", LASTING, ids=lambda value: value.__class__.__name__)
def test_what_the_same_call_meets_again_is_a_fault(error: Exception) -> None:
    assert load_faults.passing(error) is None


class Failing(Items):
    """Fails with the given error."""

    error: Exception

    async def PeekItem(self, request: Any, call: Call) -> Any:
        raise self.error


async def test_a_part_in_trouble_is_reported_to_the_caller_and_logs_no_error(harness: Harness) -> None:
    handlers = Failing()
    async with serving(harness, handlers) as running:
        peek, request = unary(running, "PeekItem"), pb.GetItemRequest(item_id=ITEM)
        handlers.error = psycopg.errors.DeadlockDetected()
        contended = await assert_refused(peek(request, timeout=10), "RESOURCE_BUSY")
        assert (contended.metadata, contended.retry_after) == ({}, 1.0)
        handlers.error = failures.Unavailable("away")
        await assert_refused(peek(request, timeout=10), "SERVICE_UNAVAILABLE")
