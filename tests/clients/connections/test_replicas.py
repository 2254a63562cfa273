"""Several replicas behind one client: spread evenly, none missed when dead, found again when back."""

from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import pytest
from weft.order.v1 import order_pb2
from weft_client import testing

from tests.clients.wire import Wire, wire_to
from tests.servers import until

CALLS = 60


@pytest.fixture
def three() -> Iterator[list[testing.Fakes]]:
    """Three replicas that answer `orders.get_order`."""
    with ExitStack() as stack:
        made = [stack.enter_context(testing.Fakes()) for _ in range(3)]
        for fakes in made:
            fakes.reply("orders.get_order", order_pb2.Order(order_id="ord_1"))
        yield made


def _counts(replicas: list[testing.Fakes]) -> list[int]:
    return [len(fakes.calls("orders.get_order")) for fakes in replicas]


async def _wires(stack: AsyncExitStack, replicas: list[testing.Fakes]) -> list[Wire]:
    return [await stack.enter_async_context(wire_to(fakes.address)) for fakes in replicas]


async def _reach_all(client: Any, replicas: list[testing.Fakes]) -> None:
    """Call until every replica was reached, so that all connections are open."""

    async def reached() -> bool:
        await client.call("orders.get_order", order_id="ord_1")
        return all(_counts(replicas))

    await until(reached, "all replicas to be reached")


async def test_calls_spread_evenly(connect: Any, three: list[testing.Fakes]) -> None:
    client = connect([fakes.address for fakes in three])
    await _reach_all(client, three)
    before = _counts(three)
    for _ in range(CALLS):
        await client.call("orders.get_order", order_id="ord_1")
    assert [now - then for now, then in zip(_counts(three), before, strict=True)] == [CALLS // 3] * 3


async def test_a_killed_replica_costs_no_repeatable_call_and_a_returning_one_gets_traffic(
    connect: Any, three: list[testing.Fakes]
) -> None:
    async with AsyncExitStack() as stack:
        wires = await _wires(stack, three)
        client = connect([wire.address for wire in wires])
        await _reach_all(client, three)
        for number in range(CALLS):
            if number == CALLS // 3:
                await wires[0].die()
            assert (await client.call("orders.get_order", order_id="ord_1")).order_id == "ord_1"
        wires[0].open()
        before = _counts(three)[0]

        async def returned() -> bool:
            await client.call("orders.get_order", order_id="ord_1")
            return _counts(three)[0] > before

        await until(returned, "the replica that came back to get traffic", seconds=10)


async def test_with_most_replicas_dead_from_the_start_every_call_is_answered(
    connect: Any, three: list[testing.Fakes]
) -> None:
    async with AsyncExitStack() as stack:
        wires = await _wires(stack, three)
        await wires[0].die()
        await wires[1].die()
        client = connect([wire.address for wire in wires])
        for _ in range(CALLS):
            await client.call("orders.get_order", order_id="ord_1")
        assert _counts(three) == [0, 0, CALLS]


async def test_keyed_mutations_under_a_dying_replica_happen_once_each(connect: Any, three: list[testing.Fakes]) -> None:
    """The replicas share one store, as replicas of a service share a database."""
    placed: dict[str, order_pb2.Order] = {}
    for fakes in three:

        @fakes.on("orders.create_order")
        def place(request: Any) -> order_pb2.Order:
            return placed.setdefault(request.note, order_pb2.Order(note=request.note))

    fakes_keys: dict[str, set[str]] = {}
    async with AsyncExitStack() as stack:
        wires = await _wires(stack, three)
        client = connect([wire.address for wire in wires])
        for number in range(CALLS):
            if number == CALLS // 3:
                await wires[1].die()
            line = {"product_id": "prd_1", "quantity": 1}
            await client.call("orders.create_order", lines=[line], payment_method="pm_ok", note=str(number))
    for fakes in three:
        for received in fakes.calls("orders.create_order"):
            fakes_keys.setdefault(received.request.note, set()).add(received.idempotency_key)
    assert len(placed) == CALLS
    assert [len(keys) for keys in fakes_keys.values()] == [1] * CALLS
