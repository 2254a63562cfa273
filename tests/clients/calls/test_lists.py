"""Lists walk over all pages; one page can be had alone."""

from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from weft.order.v1 import order_pb2, order_service_pb2
from weft_client import Retries, errors, testing

PAGES = {"": (["ord_1", "ord_2"], "two"), "two": ([], "three"), "three": (["ord_3"], "")}


@pytest.fixture
def orders(fakes: testing.Fakes) -> testing.Fakes:
    """Three orders on three pages, of which one is empty."""

    @fakes.on("orders.list_orders")
    def page(request: Any) -> order_service_pb2.ListOrdersResponse:
        ids, token = PAGES[request.page_token]
        found = [order_pb2.Order(order_id=order_id) for order_id in ids]
        return order_service_pb2.ListOrdersResponse(orders=found, next_page_token=token)

    return fakes


async def test_a_list_walks_over_all_pages_with_its_filters(connect: Any, orders: testing.Fakes) -> None:
    since = datetime(2026, 11, 1, tzinfo=UTC)
    client = connect(orders.address)
    found = await client.items("orders.list_orders", states=["CONFIRMED", 1], create_time_from=since, page_size=2)
    assert [order.order_id for order in found] == ["ord_1", "ord_2", "ord_3"]
    confirmed, pending = order_pb2.ORDER_STATE_CONFIRMED, order_pb2.ORDER_STATE_PENDING
    asked = {"page_size": 2, "states": [confirmed, pending], "create_time_from": Timestamp(seconds=1793491200)}
    assert [received.request for received in orders.calls("orders.list_orders")] == [
        order_service_pb2.ListOrdersRequest(page_token=token, **asked) for token in PAGES
    ]


async def test_each_page_is_retried_by_itself(connect: Any, orders: testing.Fakes) -> None:
    client = connect(orders.address, retries=Retries(first_pause_s=0.01))
    orders.fail("orders.list_orders", errors.Unavailable("restarting"))
    assert len(await client.items("orders.list_orders")) == 3
    assert len(orders.calls("orders.list_orders")) == 4


async def test_nothing_is_asked_before_the_list_is_walked(connect: Any, orders: testing.Fakes) -> None:
    connect(orders.address).client.orders.list_orders()
    assert orders.calls("orders.list_orders") == []


async def test_one_page_alone(orders: testing.Fakes) -> None:
    async with orders.async_weft() as weft:
        page = await weft.orders.list_orders(page_token="three").page()
        assert ([order.order_id for order in page.orders], page.next_page_token) == (["ord_3"], "")
        tokens = [page.next_page_token async for page in weft.orders.list_orders().pages()]
        assert tokens == ["two", "three", ""]


def test_one_page_alone_blocking(orders: testing.Fakes) -> None:
    with orders.weft() as weft:
        page = weft.orders.list_orders().page()
        assert ([order.order_id for order in page.orders], page.next_page_token) == (["ord_1", "ord_2"], "two")


async def test_a_list_can_be_walked_twice(connect: Any, orders: testing.Fakes) -> None:
    with orders.weft() as weft:
        found = weft.orders.list_orders()
        assert len(list(found)) == len(list(found)) == 3
