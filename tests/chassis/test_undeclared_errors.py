"""The error stage knows what the contract declares, and logs as an error what a handler raises beyond it."""

import re
from datetime import timedelta
from typing import Any

import pytest
from weft.order.v1 import product_pb2, product_service_pb2

from chassis import errors
from chassis.app import App
from chassis.errors import WeftError
from chassis.rpc.call import Call
from tests.harness import Harness, refused

REQUEST = product_service_pb2.GetProductRequest(product_id="prd_01k00000000000000000000000")


class ProductNotFound(errors.NotFound):
    """There is no product {product_id}."""

    domain = "weft.order.v1"


class OutOfStock(errors.FailedPrecondition):
    """Too few are left."""

    domain = "weft.user.v1"


class Products:
    """Raises what it is told to."""

    error: WeftError

    async def GetProduct(self, request: Any, call: Call) -> product_pb2.Product:
        raise self.error

    CreateProduct = ListProducts = UpdateProduct = AdjustStock = GetProduct


async def logged(harness: Harness, capfd: pytest.CaptureFixture[str], error: WeftError) -> list[str]:
    """The error events of a call that answers with `error`; the caller gets it in every case."""
    products = Products()
    products.error = error

    async def build(app: App) -> None:
        app.add_service("weft.order.v1.ProductService", products)

    async with harness.running("order", build, work=False) as running:
        get = running.channel.unary_unary(
            "/weft.order.v1.ProductService/GetProduct",
            request_serializer=product_service_pb2.GetProductRequest.SerializeToString,
        )
        assert (await refused(get(REQUEST, timeout=10))).reason == error.reason
    lines = [line for line in capfd.readouterr().out.splitlines() if '"level": "error"' in line]
    return re.findall(r'"event": "(\w+)"', "\n".join(lines))


@pytest.mark.parametrize(
    "error",
    [
        ProductNotFound(product_id="prd_1"),
        errors.EtagMismatch(etag="1"),
        errors.Overloaded(retry_after=timedelta(seconds=1)),
    ],
    ids=lambda error: error.reason,
)
async def test_what_is_declared_logs_nothing(
    harness: Harness, capfd: pytest.CaptureFixture[str], error: WeftError
) -> None:
    assert await logged(harness, capfd, error) == []


@pytest.mark.logs_errors("undeclared_metadata")
async def test_metadata_that_the_reason_does_not_declare_is_logged(
    harness: Harness, capfd: pytest.CaptureFixture[str]
) -> None:
    error = ProductNotFound(product_id="prd_1", shelf="7")
    assert await logged(harness, capfd, error) == ["undeclared_metadata"]


@pytest.mark.logs_errors("undeclared_retry")
async def test_a_retry_that_the_reason_does_not_declare_is_logged(
    harness: Harness, capfd: pytest.CaptureFixture[str]
) -> None:
    error = ProductNotFound(product_id="prd_1", retry_after=timedelta(seconds=1))
    assert await logged(harness, capfd, error) == ["undeclared_retry"]


@pytest.mark.logs_errors("undeclared_reason")
async def test_a_reason_that_the_rpc_does_not_declare_is_logged(
    harness: Harness, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "observer", None)  # the run would fail, too
    assert await logged(harness, capfd, OutOfStock()) == ["undeclared_reason"]
