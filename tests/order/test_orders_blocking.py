"""Orders through pytest-grpc: a plain blocking client against our own server, with the whole chain, in a loop of its own.

pytest-grpc's own server knows neither asyncio nor the chain; only its `grpc_addr`, `grpc_channel` and stub are kept.
"""

import asyncio
import secrets
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import grpc
import psycopg
import pytest
from weft.order.v1 import order_pb2, order_service_pb2_grpc
from weft.order.v1.order_service_pb2 import CreateOrderRequest, GetOrderRequest, ListOrdersRequest, WatchOrdersRequest

from chassis import ids
from deploy.local.state.certificates import Certificates
from services.order.bootstrap import bootstrap, product_id
from tests import servers
from tests.harness import Harness, Issuer, Running, refusal


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


@pytest.fixture(scope="module")
def grpc_add_to_server() -> Any:
    return order_service_pb2_grpc.add_OrderServiceServicer_to_server


@pytest.fixture(scope="module")
def grpc_servicer() -> None:
    return None  # the harness brings its own


@pytest.fixture(scope="module")
def grpc_stub_cls() -> Any:
    return order_service_pb2_grpc.OrderServiceStub


@pytest.fixture(scope="module")
def grpc_addr() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture(scope="module")
def harness(
    postgres_url: str, valkey_url: str, certificates: Certificates, issuer: Issuer, template: Callable[[str], str]
) -> Iterator[Harness]:
    """As the common one, for a module, as long as pytest-grpc's fixtures live."""
    prefix = f"t{secrets.token_hex(4)}"
    with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {prefix}_order TEMPLATE {template('order')}")
        yield Harness(postgres_url, valkey_url, certificates, issuer, lambda _: prefix)
        connection.execute(f"DROP DATABASE {prefix}_order WITH (FORCE)")


@pytest.fixture(scope="module")
def grpc_server(grpc_addr: str, harness: Harness) -> Iterator[Running]:
    loop = Loop()
    running = harness.running("order", listen=grpc_addr)
    try:
        started = loop.run(running.__aenter__())
        loop.run(bootstrap(started.app))
        yield started
        loop.run(running.__aexit__(None, None, None))
    finally:
        loop.close()


@pytest.fixture(scope="module")
def grpc_create_channel(grpc_addr: str, grpc_server: Running, harness: Harness) -> Any:
    certificates = harness.certificates

    def create(credentials: Any = None, options: Any = None) -> grpc.Channel:
        made = grpc.ssl_channel_credentials(
            certificates.ca.read_bytes(),
            certificates.key("internal").read_bytes(),
            certificates.certificate("internal").read_bytes(),
        )
        return grpc.secure_channel(grpc_addr, made, options=[("grpc.ssl_target_name_override", "order.weft.internal")])

    return create


@pytest.fixture
def as_ann(harness: Harness) -> list[tuple[str, str]]:
    return [("authorization", harness.issuer.user(ids.new("usr")))]


def request(pieces: int = 1) -> CreateOrderRequest:
    line = order_pb2.OrderLineInput(product_id=product_id(0), quantity=pieces)
    return CreateOrderRequest(lines=[line], payment_method="pm_sandbox_ok")


def test_a_blocking_client_orders_waits_and_lists(grpc_stub: Any, as_ann: Any) -> None:
    placed, call = grpc_stub.CreateOrder.with_call(request(), metadata=[*as_ann, ("idempotency-key", "one")])
    assert dict(call.initial_metadata())["location"] == f"/v1/orders/{placed.order_id}"

    def paid() -> bool:
        found = grpc_stub.GetOrder(GetOrderRequest(order_id=placed.order_id), metadata=as_ann)
        return bool(found.payment_state == order_pb2.PAYMENT_STATE_CAPTURED)

    servers.wait_until(paid, "the payment")
    assert [o.order_id for o in grpc_stub.ListOrders(ListOrdersRequest(), metadata=as_ann).orders] == [placed.order_id]


def test_a_blocking_client_watches(grpc_stub: Any, as_ann: Any) -> None:
    stream = grpc_stub.WatchOrders(WatchOrdersRequest(), metadata=as_ann, timeout=20)
    assert next(stream).HasField("heartbeat")
    placed = grpc_stub.CreateOrder(request(), metadata=[*as_ann, ("idempotency-key", "two")])
    seen = next(message for message in stream if message.HasField("order"))
    stream.cancel()
    assert seen.order == placed


def test_a_blocking_client_gets_typed_refusals(grpc_stub: Any, as_ann: Any) -> None:
    atlas = order_pb2.OrderLineInput(product_id=product_id(7), quantity=4)
    wanted = CreateOrderRequest(lines=[atlas], payment_method="pm_sandbox_ok")
    with pytest.raises(grpc.RpcError) as caught:
        grpc_stub.CreateOrder(wanted, metadata=[*as_ann, ("idempotency-key", "three")])
    told = refusal(caught.value)
    assert (told.code, told.reason, told.domain) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "OUT_OF_STOCK",
        "weft.order.v1",
    )
    assert told.metadata == {"product_id": product_id(7), "asked": "4", "left": "3"}
