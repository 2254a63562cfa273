"""Orders through a plain blocking client."""

from typing import Any

import grpc
import pytest
from weft.order.v1 import order_pb2, order_service_pb2_grpc
from weft.order.v1.order_service_pb2 import CreateOrderRequest, GetOrderRequest, ListOrdersRequest, WatchOrdersRequest

from chassis import ids
from services.order.bootstrap import bootstrap, product_id
from tests import servers
from tests.blocking import Loop
from tests.harness import Issuer, Running, assert_refusal

SERVICE = "order"
STUB = order_service_pb2_grpc.OrderServiceStub


@pytest.fixture(scope="module", autouse=True)
def catalogue(grpc_server: Running, loop: Loop) -> None:
    """The first products."""
    loop.run(bootstrap(grpc_server.app))


@pytest.fixture
def as_ann(issuer: Issuer) -> list[tuple[str, str]]:
    return [("authorization", issuer.user(ids.new("usr")))]


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
    assert_refusal(caught.value, "OUT_OF_STOCK", product_id=product_id(7), requested="4", available="3")
