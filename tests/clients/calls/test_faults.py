"""The fault table: what the client does, how many attempts it makes, and what the server does for it."""

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from weft.order.v1 import order_pb2
from weft.user.v1 import auth_service_pb2
from weft_client import Retries, errors, testing

from tests.clients.wire import wire_to
from tests.servers import free_ports

LINES = [{"product_id": "prd_1", "quantity": 1}]
QUICK = Retries(first_pause_s=0.01, max_pause_s=0.05)


class Shop:
    """Places orders; counts what it does, not what it is asked."""

    def __init__(self, fakes: testing.Fakes) -> None:
        self.placed = 0
        self.after = lambda: None
        fakes.on("orders.create_order")(self.place)

    def place(self, _: Any) -> order_pb2.Order:
        self.placed += 1
        order = order_pb2.Order(order_id=f"ord_{self.placed}")
        self.after()
        return order


@pytest.fixture
def shop(fakes: testing.Fakes) -> Shop:
    return Shop(fakes)


@pytest.fixture
def held(fakes: testing.Fakes) -> Iterator[threading.Event]:
    """`orders.get_order` hangs until the test is over."""
    event = threading.Event()

    @fakes.on("orders.get_order")
    def hang(_: Any) -> order_pb2.Order:
        event.wait(20)
        return order_pb2.Order()

    yield event
    event.set()


async def test_a_refused_connection_is_tried_again_and_told_as_unavailable(connect: Any) -> None:
    client = connect(f"127.0.0.1:{free_ports(1)[0]}", retries=Retries(attempts=3, first_pause_s=0.01))
    with pytest.raises(errors.Unavailable) as raised:
        await client.call("orders.get_order", order_id="ord_1")
    assert raised.value.attempts == 3
    assert raised.value.request_id


async def test_a_server_that_stops_in_the_middle_of_a_call_is_unavailable(connect: Any) -> None:
    """It ends the call with CANCELLED, which is nothing that the caller did; so it is tried elsewhere."""
    entered = asyncio.Event()

    async def hang(_: Any, __: Any) -> None:
        entered.set()
        await asyncio.Event().wait()

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(hang)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("weft.order.v1.OrderService", {"GetOrder": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    client = connect(f"127.0.0.1:{port}", retries=QUICK)
    call = asyncio.create_task(client.call("orders.get_order", order_id="ord_1"))
    await asyncio.wait_for(entered.wait(), 5)
    await server.stop(0)
    with pytest.raises(errors.Unavailable) as raised:
        await call
    assert raised.value.attempts == QUICK.attempts


async def test_a_mutation_without_a_key_is_sent_once(connect: Any, fakes: testing.Fakes) -> None:
    fakes.fail("auth.sign_up", errors.Unavailable("gone"))
    client = connect(fakes.address, retries=QUICK)
    with pytest.raises(errors.Unavailable) as raised:
        await client.call("auth.sign_up", email="a@b.example", password="long enough for it")
    assert (raised.value.attempts, len(fakes.calls("auth.sign_up"))) == (1, 1)


async def test_a_connection_cut_before_the_answer_places_one_order(
    connect: Any, fakes: testing.Fakes, shop: Shop
) -> None:
    async with wire_to(fakes.address) as wire:

        def cut_once() -> None:
            shop.after = lambda: None
            wire.cut()

        shop.after = cut_once
        client = connect(wire.address, retries=QUICK)
        order = await client.call("orders.create_order", lines=LINES, payment_method="pm_sandbox_ok")
    first, second = fakes.calls("orders.create_order")
    assert (order.order_id, shop.placed) == ("ord_1", 1)
    assert first.idempotency_key == second.idempotency_key != ""
    assert first.metadata["x-request-id"] == second.metadata["x-request-id"]


async def test_a_connection_cut_under_a_mutation_without_a_key_is_not_repeated(
    connect: Any, fakes: testing.Fakes
) -> None:
    async with wire_to(fakes.address) as wire:

        @fakes.on("auth.sign_up")
        def sign_up(_: Any) -> Any:
            wire.cut()
            return empty_pb2.Empty()

        client = connect(wire.address, retries=QUICK)
        with pytest.raises(errors.Unavailable):
            await client.call("auth.sign_up", email="a@b.example", password="long enough for it")
    assert len(fakes.calls("auth.sign_up")) == 1


async def test_a_hung_server_costs_the_deadline_and_one_attempt(
    connect: Any, fakes: testing.Fakes, held: threading.Event
) -> None:
    client = connect(fakes.address, retries=QUICK)
    with pytest.raises(errors.DeadlineExceeded) as raised:
        await client.call("orders.get_order", order_id="ord_1", timeout=1.0)
    assert (raised.value.attempts, len(fakes.calls("orders.get_order"))) == (1, 1)


async def test_unavailable_twice_then_an_answer(connect: Any, fakes: testing.Fakes, shop: Shop) -> None:
    fakes.fail("orders.create_order", errors.Unavailable("restarting"), times=2)
    client = connect(fakes.address, retries=QUICK)
    order = await client.call("orders.create_order", lines=LINES, payment_method="pm_sandbox_ok")
    sent = fakes.calls("orders.create_order")
    assert (order.order_id, shop.placed, len(sent)) == ("ord_1", 1, 3)
    assert len({received.idempotency_key for received in sent}) == 1


async def test_unavailable_for_long_ends_after_the_attempts(connect: Any, fakes: testing.Fakes, shop: Shop) -> None:
    fakes.fail("orders.create_order", errors.ServiceUnavailable("down"), times=9)
    client = connect(fakes.address, retries=Retries(attempts=4, first_pause_s=0.01))
    with pytest.raises(errors.ServiceUnavailable) as raised:
        await client.call("orders.create_order", lines=LINES, payment_method="pm_sandbox_ok")
    assert (raised.value.attempts, len(fakes.calls("orders.create_order")), shop.placed) == (4, 4, 0)


async def test_retry_info_is_waited_for(connect: Any, fakes: testing.Fakes, shop: Shop) -> None:
    fakes.fail("orders.create_order", errors.RateLimited("slow down", retry_after=0.4))
    client = connect(fakes.address, retries=QUICK)
    begun = time.monotonic()
    await client.call("orders.create_order", lines=LINES, payment_method="pm_sandbox_ok")
    assert time.monotonic() - begun >= 0.4
    assert (len(fakes.calls("orders.create_order")), shop.placed) == (2, 1)


async def test_retry_info_past_the_deadline_is_not_waited_for(connect: Any, fakes: testing.Fakes) -> None:
    fakes.fail("orders.get_order", errors.RateLimited("slow down", retry_after=7200))
    client = connect(fakes.address)
    with pytest.raises(errors.RateLimited) as raised:
        await client.call("orders.get_order", order_id="ord_1", timeout=3600)  # a client that waits hangs here
    assert (raised.value.retry_after, raised.value.attempts) == (7200, 1)


async def test_exhausted_without_retry_info_is_not_repeated(connect: Any, fakes: testing.Fakes) -> None:
    fakes.fail("orders.get_order", errors.RateLimited("no more"))
    with pytest.raises(errors.RateLimited):
        await connect(fakes.address).call("orders.get_order", order_id="ord_1")
    assert len(fakes.calls("orders.get_order")) == 1


async def test_a_key_in_use_is_waited_for(connect: Any, fakes: testing.Fakes, shop: Shop) -> None:
    fakes.fail("orders.create_order", errors.IdempotencyKeyInUse("running", retry_after=0.05))
    client = connect(fakes.address, retries=QUICK)
    await client.call("orders.create_order", lines=LINES, payment_method="pm_sandbox_ok", idempotency_key="mine")
    assert [received.idempotency_key for received in fakes.calls("orders.create_order")] == ["mine", "mine"]
    assert shop.placed == 1


async def test_a_domain_error_is_told_at_once(connect: Any, fakes: testing.Fakes) -> None:
    fakes.fail(
        "orders.create_order", errors.OutOfStock("Only 2 are left.", product_id="prd_1", requested="5", available="2")
    )
    with pytest.raises(errors.OutOfStock) as raised:
        await connect(fakes.address).call("orders.create_order", lines=LINES, payment_method="pm_sandbox_ok")
    error = raised.value
    assert (error.product_id, error.requested, error.available, error.attempts) == ("prd_1", "5", "2", 1)
    assert isinstance(error, errors.FailedPrecondition)
    assert (error.reason, error.domain) == ("OUT_OF_STOCK", "weft.order.v1")
    assert str(error) == f"Only 2 are left. [OUT_OF_STOCK, request {error.request_id}]"


async def test_retries_stop_with_the_budget(connect: Any, fakes: testing.Fakes) -> None:
    """Ten retries are free; then a service in trouble gets a tenth more, not five times as much."""
    client = connect(fakes.address, retries=QUICK)
    tried = 0
    while tried < 12:
        fakes.fail("orders.get_order", errors.Aborted("busy", retry_after=0.001), times=1_000)
        with pytest.raises(errors.Aborted) as raised:
            await client.call("orders.get_order", order_id="ord_1")
        tried += 1
        if raised.value.attempts == 1:
            break
    assert len(fakes.calls("orders.get_order")) - tried == 10


async def test_many_calls_at_once_share_one_connection(connect: Any, fakes: testing.Fakes) -> None:
    fakes.reply("orders.get_order", order_pb2.Order(order_id="ord_1"))
    async with wire_to(fakes.address) as wire:
        client = connect(wire.address)
        replies = await asyncio.gather(*(client.call("orders.get_order", order_id="ord_1") for _ in range(50)))
        assert [reply.order_id for reply in replies] == ["ord_1"] * 50
        assert wire.connections == 1


async def test_a_closed_client_says_so(connect: Any, fakes: testing.Fakes) -> None:
    client = connect(fakes.address)
    fakes.reply("auth.sign_in", auth_service_pb2.TokenPair(access_token="a"))
    await client.call("auth.sign_in", email="a@b.example", password="x")
    await client.close()
    with pytest.raises(RuntimeError, match="The client is closed"):
        await client.call("auth.sign_in", email="a@b.example", password="x")
