"""Lists of orders: pages, filters, and how much one statement returns."""

import asyncio

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from weft.order.v1 import fulfilment_pb2, order_pb2
from weft.order.v1.order_service_pb2 import ListOrdersRequest

from chassis import ids
from chassis.rpc import pagination
from chassis.storage.database import Query
from services.order import messages, order_rows
from services.order.orders import repository
from services.order.ownership import Owner
from tests.harness import assert_refused
from tests.order.shop import Shop, listed, metadata
from tests.order.users import Users


async def test_a_page_ends_before_it_is_too_large_for_its_reader(
    quiet_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ink = await quiet_shop.product()
    placed = [(await quiet_shop.order((ink, 1), note="<" * 500)).order_id for _ in range(5)]
    monkeypatch.setattr(pagination, "MAX_PAGE_BYTES", 1_500)
    found, sizes, token = [], [], ""
    while token or not found:
        request = ListOrdersRequest(page_size=1000, page_token=token)
        page = await quiet_shop.orders.ListOrders(request, metadata=metadata(quiet_shop.user))
        found += [order.order_id for order in page.orders]
        sizes.append(len(page.orders))
        token = page.next_page_token
    assert (found, sizes) == (sorted(placed, reverse=True), [2, 2, 1])


async def test_orders_are_listed_newest_first_in_pages(quiet_shop: Shop) -> None:
    ink = await quiet_shop.product()
    placed = [(await quiet_shop.order((ink, 1), (ink, n))).order_id for n in range(1, 6)]
    found, token = [], ""
    while True:
        page = await quiet_shop.orders.ListOrders(
            ListOrdersRequest(page_size=2, page_token=token), metadata=metadata(quiet_shop.user)
        )
        found += [order.order_id for order in page.orders]
        token = page.next_page_token
        if not token:
            break
    assert found == sorted(placed, reverse=True)
    first = await quiet_shop.orders.ListOrders(ListOrdersRequest(page_size=2), metadata=metadata(quiet_shop.user))
    stolen = ListOrdersRequest(page_size=2, page_token=first.next_page_token)
    other = quiet_shop.issuer.user(ids.new("usr"))
    await assert_refused(quiet_shop.orders.ListOrders(stolen, metadata=metadata(other)), "PAGE_TOKEN_INVALID")
    stolen.states.append(order_pb2.ORDER_STATE_PENDING)
    await assert_refused(quiet_shop.orders.ListOrders(stolen, metadata=metadata(quiet_shop.user)), "PAGE_TOKEN_INVALID")


async def test_orders_are_filtered_by_state_customer_and_time(quiet_shop: Shop, users: Users) -> None:
    ink, one, two = await quiet_shop.product(), ids.new("usr"), ids.new("usr")
    users.add(one, "prt_a")
    users.add(two, "prt_a")
    partner = quiet_shop.partner("prt_a")
    first = await quiet_shop.order((ink, 1), token=partner, customer_id=one)
    await asyncio.sleep(0.002)  # times are filtered to the microsecond, but two orders may share one
    second = await quiet_shop.order((ink, 1), token=partner, customer_id=two)
    await quiet_shop.cancel(first.order_id, partner)
    assert await listed(quiet_shop, partner, states=[order_pb2.ORDER_STATE_CANCELLED]) == [first.order_id]
    both = [order_pb2.ORDER_STATE_CANCELLED, order_pb2.ORDER_STATE_PENDING]
    assert await listed(quiet_shop, partner, states=both) == [second.order_id, first.order_id]
    assert await listed(quiet_shop, partner, customer_id=two) == [second.order_id]
    assert await listed(quiet_shop, quiet_shop.issuer.user(two), customer_id="me") == [second.order_id]
    assert await listed(quiet_shop, quiet_shop.issuer.user(two), customer_id=one) == []
    assert await listed(quiet_shop, partner, create_time_from=second.create_time) == [second.order_id]
    assert await listed(quiet_shop, partner, create_time_to=second.create_time) == [first.order_id]
    assert (
        await listed(quiet_shop, partner, create_time_from=Timestamp(seconds=1), create_time_to=Timestamp(seconds=2))
        == []
    )


async def test_pages_of_states_have_each_order_once_newest_first(quiet_shop: Shop, users: Users) -> None:
    shop, ink, ann = quiet_shop, await quiet_shop.product(), ids.new("usr")
    users.add(ann, "prt_a")
    partner = shop.partner("prt_a")
    placed = [await shop.order((ink, 1), **({"token": partner, "customer_id": ann} if n % 2 else {})) for n in range(8)]
    for order in placed[2:5]:
        await shop.cancel(order.order_id, shop.operator)
    await shop.database.run(
        Query("UPDATE orders SET fulfilment_state = 'SHIPPED' WHERE order_id = ANY(%(ids)s)"),
        ids=[order.order_id for order in placed[5:7]],
    )
    chosen = {
        "states": ([order_pb2.ORDER_STATE_CANCELLED, order_pb2.ORDER_STATE_PENDING], range(8)),
        "payment_states": ([order_pb2.PAYMENT_STATE_VOIDED, order_pb2.PAYMENT_STATE_FAILED], range(2, 5)),
        "fulfilment_states": ([fulfilment_pb2.FULFILMENT_STATE_UNFULFILLED], (0, 1, 2, 3, 4, 7)),
    }
    for name, (states, numbers) in chosen.items():
        for token, own in ((shop.operator, {*range(8)}), (partner, {1, 3, 5, 7}), (shop.user, {0, 2, 4, 6})):
            found, page = [], ""
            while page or not found:
                request = ListOrdersRequest(page_size=2, page_token=page, **{name: states})
                reply = await shop.orders.ListOrders(request, metadata=metadata(token))
                found, page = found + [order.order_id for order in reply.orders], reply.next_page_token
            assert found == [placed[n].order_id for n in sorted(own & {*numbers}, reverse=True)], name
    both = {"payment_states": chosen["payment_states"][0], "fulfilment_states": chosen["fulfilment_states"][0]}
    times = {"create_time_from": placed[3].create_time, "create_time_to": placed[4].create_time}
    assert await listed(shop, shop.operator, **both, **times) == [placed[3].order_id]


@pytest.mark.parametrize("seconds", [-62135596800, 253402300799])
async def test_the_first_and_the_last_moment_are_times_like_others(quiet_shop: Shop, seconds: int) -> None:
    ink = await quiet_shop.product()
    placed = (await quiet_shop.order((ink, 1))).order_id
    time = Timestamp(seconds=seconds)
    assert await listed(quiet_shop, create_time_from=time) == ([placed] if seconds < 0 else [])
    assert await listed(quiet_shop, create_time_to=time) == ([] if seconds < 0 else [placed])


@pytest.mark.parametrize("seconds", [-(10**12), 10**12])
async def test_a_time_beyond_the_calendar_is_refused_by_name(quiet_shop: Shop, seconds: int) -> None:
    request = ListOrdersRequest(create_time_from=Timestamp(seconds=seconds))
    await assert_refused(
        quiet_shop.orders.ListOrders(request, metadata=metadata(quiet_shop.user)),
        "REQUEST_INVALID",
        violations={"create_time_from": "between the years 1 and 9999"},
    )


async def test_a_statement_returns_no_more_than_a_page_can_hold(
    quiet_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    heavy = [await quiet_shop.product(title="W" * 200) for _ in range(20)]
    for _ in range(5):
        await quiet_shop.order(*((product, 1) for product in heavy))
    orders = quiet_shop.repository
    owner = Owner("customer", quiet_shop.user_id)
    found = await orders.list(owner, 100, pagination.NEWEST, {})
    assert len(found) == 5
    assert not order_rows.is_cut(found, repository.MAX_LIST_BYTES)
    # Never more than the message has: where a statement is cut, the page has ended before.
    assert 0 < found[-1].so_far <= sum(messages.to_message(row).ByteSize() for row in found)
    assert repository.MAX_LIST_BYTES > pagination.MAX_PAGE_BYTES
    monkeypatch.setattr(repository, "MAX_LIST_BYTES", int(found[-1].so_far) * 35 // 100)  # two orders' worth
    repository._list.cache_clear()
    try:
        cut = await orders.list(owner, 100, pagination.NEWEST, {})
        assert [row.order_id for row in cut] == [row.order_id for row in found[:2]]
        assert order_rows.is_cut(cut, repository.MAX_LIST_BYTES)
    finally:
        repository._list.cache_clear()
