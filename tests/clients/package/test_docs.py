"""Every example of docs/clients.md runs."""

import ast
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from weft.order.v1 import order_pb2, order_service_pb2, product_pb2
from weft_client import errors, testing

from deploy.local.state.certificates import Certificates
from tests.clients.package.examples import EXAMPLES, PAGE


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[testing.Fakes]:
    """What the page speaks to, with certificates where the page has them."""
    folder = tmp_path / ".weft" / "certs"
    folder.mkdir(parents=True)
    certificates = Certificates(folder, [])
    certificates.ensure()
    pair = (certificates.key("edge-server").read_bytes(), certificates.certificate("edge-server").read_bytes())
    with testing.Fakes(credentials=grpc.ssl_server_credentials([pair])) as fakes:
        order = order_pb2.Order(order_id="ord_…")
        fakes.reply("orders.create_order", order)
        fakes.reply("orders.get_order", order)
        fakes.reply("orders.quote_order", order_service_pb2.QuoteOrderResponse())
        fakes.reply("orders.list_orders", order_service_pb2.ListOrdersResponse(orders=[order]))
        fakes.reply("orders.watch_orders", order_service_pb2.WatchOrdersResponse(cursor="1", order=order))
        fakes.reply("products.update_product", product_pb2.Product())
        yield fakes


async def _run(example: str, names: dict[str, Any], address: str) -> None:
    code = compile(example.replace("localhost:8443", address), str(PAGE), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    outcome = eval(code, names)
    if inspect.isawaitable(outcome):
        await outcome


async def _close(names: dict[str, Any]) -> None:
    for name in ("weft", "impatient", "spread", "known", "local"):
        await names[name].close()


async def test_every_example_runs_in_the_order_of_the_page(
    edge: testing.Fakes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {}
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        for example in EXAMPLES:
            await _run(example, names, edge.address)
        await _close(names)
    finally:
        os.chdir(before)
    assert len(EXAMPLES) > 10
    assert capsys.readouterr().out.splitlines()[:2] == ["ord_… 0 ", "ord_…"]
    called = {name for name in edge._known if edge.calls(name)}
    assert called == {
        "oauth.token", "orders.create_order", "orders.get_order", "orders.quote_order", "orders.list_orders",
        "orders.watch_orders", "products.update_product",
    }  # fmt: skip
    assert "order-A-1001" in [received.idempotency_key for received in edge.calls("orders.create_order")]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (errors.OutOfStock("Too few.", product_id="prd_1", requested="5", available="2"), "Only 2 of prd_1 are left."),
        (errors.RequestInvalid("No.", violations=[errors.Violation("lines", "at least one")]), "lines at least one"),
        (errors.CustomerNotFound("No such customer.", customer_id="usr_1"), "No such customer. [CUSTOMER_NOT_FOUND"),
    ],
)
async def test_the_example_of_errors_meets_each(
    fault: errors.WeftError, said: str, fakes: testing.Fakes, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = [example for example in EXAMPLES if "except errors.OutOfStock" in example]
    fakes.fail("orders.create_order", fault)
    async with fakes.async_weft() as weft:
        await _run(example, {"weft": weft, "lines": []}, fakes.address)
    assert capsys.readouterr().out.startswith(said)
