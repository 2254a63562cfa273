"""What passes by itself is never called a fault of the program."""

import errno
from typing import Any

import grpc
import psycopg
import pytest
from weft.order.v1 import product_pb2, product_service_pb2
from weft_client import failures

from chassis.app import App
from chassis.rpc import load_faults
from chassis.rpc.call import Call
from tests.harness import Harness, Refusal, refused

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


class Products:
    """Fails as it is told."""

    error: Exception

    async def GetProduct(self, request: Any, call: Call) -> product_pb2.Product:
        raise self.error

    CreateProduct = ListProducts = UpdateProduct = AdjustStock = GetProduct


async def test_a_part_in_trouble_is_told_to_the_caller_and_no_error_line(harness: Harness) -> None:
    products = Products()

    async def build(weft: App) -> None:
        weft.add_service("weft.order.v1.ProductService", products)

    async with harness.running("order", build, work=False) as running:
        get = running.channel.unary_unary(
            "/weft.order.v1.ProductService/GetProduct",
            request_serializer=product_service_pb2.GetProductRequest.SerializeToString,
        )
        request = product_service_pb2.GetProductRequest(product_id="prd_01k00000000000000000000000")
        products.error = psycopg.errors.DeadlockDetected()
        contended = Refusal(grpc.StatusCode.ABORTED, "RESOURCE_BUSY", "weft.api.v1", {}, {}, 1.0)
        assert await refused(get(request, timeout=10)) == contended
        products.error = failures.Unavailable("away")
        assert (await refused(get(request, timeout=10))).reason == "SERVICE_UNAVAILABLE"
