"""WatchOrders: every change is received, from any cursor, and the last message says why the stream ends."""

import asyncio
import base64
import random
from contextlib import asynccontextmanager, suppress

import grpc
import psycopg
import pytest
from grpc import StatusCode
from weft.order.v1 import order_pb2
from weft.order.v1.order_service_pb2 import WatchOrdersResponse

from chassis import ids
from chassis.app import App
from services.order.__main__ import build
from services.order.feed import repository
from services.order.feed.cursor import Cursors, Position
from services.order.feed.feed import Feed
from services.order.ownership import Owner
from tests.harness import Harness, assert_refused
from tests.order.fulfilment.calls import deliver, ship
from tests.order.shop import Shop
from tests.order.users import Users

PENDING, CONFIRMED, CANCELLED = (
    order_pb2.ORDER_STATE_PENDING,
    order_pb2.ORDER_STATE_CONFIRMED,
    order_pb2.ORDER_STATE_CANCELLED,
)


@asynccontextmanager
async def watching(shop: Shop, cursor: str = "", token: str = ""):
    """A stream that has begun."""
    stream = shop.watch(cursor, token)
    begun = await asyncio.wait_for(stream.read(), 10)
    assert begun.WhichOneof("event") == "heartbeat"
    try:
        yield stream, begun.cursor
    finally:
        stream.cancel()


async def changes(stream, count: int) -> list[WatchOrdersResponse]:
    """The next so many changes, signs of life aside."""
    found: list[WatchOrdersResponse] = []
    async with asyncio.timeout(15):
        while len(found) < count:
            message = await stream.read()
            assert message.WhichOneof("event") != "error", message
            if message.WhichOneof("event") == "order":
                found.append(message)
    return found


def seen(messages: list[WatchOrdersResponse]) -> list[tuple[str, int, str]]:
    return [(m.order.order_id, m.order.state, m.order.etag) for m in messages]


async def test_each_change_has_the_order_as_it_was_after_it(shop: Shop) -> None:
    ink = await shop.product()
    async with watching(shop) as (stream, _):
        placed = await shop.order((ink, 2), note="hello")
        found = await changes(stream, 3)
    assert found[0].order == placed
    assert [(m.order.state, m.order.payment_state, m.order.etag) for m in found] == [
        (PENDING, order_pb2.PAYMENT_STATE_PENDING, "1"),
        (CONFIRMED, order_pb2.PAYMENT_STATE_AUTHORIZED, "2"),
        (CONFIRMED, order_pb2.PAYMENT_STATE_CAPTURED, "3"),
    ]
    assert found[2].order == await shop.get(placed.order_id)


async def test_a_stream_resumes_after_its_cursor(quiet_shop: Shop) -> None:
    ink = await quiet_shop.product()
    async with watching(quiet_shop) as (stream, begun):
        placed = [await quiet_shop.order((ink, 1)) for _ in range(4)]
        first = await changes(stream, 2)
    await quiet_shop.cancel(placed[0].order_id)
    async with watching(quiet_shop, first[-1].cursor) as (stream, _):
        rest = await changes(stream, 3)
    everything = [(order.order_id, PENDING, "1") for order in placed] + [(placed[0].order_id, CANCELLED, "2")]
    assert seen(first + rest) == everything
    async with watching(quiet_shop, begun) as (stream, _):
        assert seen(await changes(stream, 5)) == everything


async def test_watchers_see_their_own_orders_only(quiet_shop: Shop, users: Users) -> None:
    ink, customer = await quiet_shop.product(), ids.new("usr")
    users.add(customer, "prt_a")
    partner, other = quiet_shop.partner("prt_a"), quiet_shop.partner("prt_b")
    async with (
        watching(quiet_shop) as (mine, _),
        watching(quiet_shop, token=partner) as (partners, _),
        watching(quiet_shop, token=quiet_shop.issuer.user(customer)) as (customers, _),
        watching(quiet_shop, token=other) as (others, _),
        watching(quiet_shop, token=quiet_shop.operator) as (operators, _),
    ):
        theirs = await quiet_shop.order((ink, 1), token=partner, customer_id=customer)
        own = await quiet_shop.order((ink, 1))
        assert seen(await changes(mine, 1)) == [(own.order_id, PENDING, "1")]
        for stream in (partners, customers):
            assert seen(await changes(stream, 1)) == [(theirs.order_id, PENDING, "1")]
        assert [m[0] for m in seen(await changes(operators, 2))] == [theirs.order_id, own.order_id]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(others.read(), 0.2)


async def test_nothing_is_lost_when_transactions_commit_out_of_order(quiet_shop: Shop) -> None:
    """The oldest transaction commits last: what is read past it would hide its change for good."""
    ink = await quiet_shop.product()
    placed = await quiet_shop.order((ink, 1))
    async with await psycopg.AsyncConnection.connect(quiet_shop.app.database_url) as slow:
        await slow.execute(
            "INSERT INTO order_changes (order_id, version, customer_id, partner_id, state, payment_state, reason, actor, changed_at) "
            "SELECT order_id, 99, customer_id, partner_id, state, payment_state, '', '', created_at FROM orders"
        )
        async with watching(quiet_shop) as (stream, _), watching(quiet_shop) as (meanwhile, _):
            later = [await quiet_shop.order((ink, 1)) for _ in range(3)]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(meanwhile.read(), 0.3)
            await slow.commit()
            found = await changes(stream, 4)
    assert seen(found)[0] == (placed.order_id, PENDING, "99")
    assert [m[0] for m in seen(found)[1:]] == [order.order_id for order in later]


async def test_a_watcher_that_is_cut_a_hundred_times_misses_nothing(harness: Harness, users: Users) -> None:
    """Of orders, payments and fulfilment. Cut at any moment: before the first message, between two, in the middle of one."""
    prefix, chance = harness.service_database("order"), random.Random(12)
    async with (
        harness.running("order", prefix=prefix) as first,
        harness.running("order", prefix=prefix, work=False) as second,
    ):
        here, there = Shop(first, harness.issuer), Shop(second, harness.issuer)
        there.user = here.user
        ink = await here.product(stock=1000)
        async with watching(there) as (_, cursor):
            pass

        async def buy() -> str:
            order_id: str = (await here.order((ink, 1))).order_id
            await here.reaches(order_id, CONFIRMED, order_pb2.PAYMENT_STATE_CAPTURED)
            await ship(here, order_id)
            await deliver(here, order_id)
            return order_id

        buying = asyncio.gather(*(buy() for _ in range(20)))
        found: list[tuple[str, int]] = []
        cuts = 0
        async with asyncio.timeout(60):
            while cuts < 100 or len(found) < 100:
                stream = there.watch(cursor)
                with suppress(TimeoutError):
                    async with asyncio.timeout(chance.choice((0, 0.01, 0.05, 0.5)) if len(found) < 100 else 0):
                        for _ in range(chance.randint(0, 4)):
                            message = await stream.read()
                            assert message.WhichOneof("event") != "error", message
                            cursor = message.cursor
                            if message.WhichOneof("event") == "order":
                                found.append((message.order.order_id, int(message.order.etag)))
                stream.cancel()
                cuts += 1
            placed = await buying
        assert sorted(found) == sorted((order_id, version) for order_id in placed for version in range(1, 6))
        assert all(found.index((order, 1)) < found.index((order, 5)) for order in placed)


@pytest.mark.parametrize("cursor", ["nonsense", "AAAA", base64.urlsafe_b64encode(b"x" * 24).decode(), "ü" * 10])
async def test_a_forged_cursor_is_refused(quiet_shop: Shop, cursor: str) -> None:
    await assert_refused(quiet_shop.watch(cursor).read(), "CURSOR_INVALID")


async def test_a_cursor_of_another_owner_or_of_the_future_is_refused(quiet_shop: Shop) -> None:
    async with watching(quiet_shop) as (_, mine):
        pass
    cursors = Cursors(quiet_shop.app.vault.derive("watch cursors"))
    future = cursors.write(Position(2**40, 1, 1), ("customer", quiet_shop.user_id))
    for cursor, token in ((mine, quiet_shop.operator), (future, quiet_shop.user)):
        await assert_refused(quiet_shop.watch(cursor, token).read(), "CURSOR_INVALID")


async def test_the_deadline_is_the_last_message(quiet_shop: Shop) -> None:
    messages = [message async for message in quiet_shop.watch(timeout=2.0)]
    assert [m.WhichOneof("event") for m in messages] == ["heartbeat", "error"]
    assert messages[1].error.code == StatusCode.UNAVAILABLE.value[0]
    assert messages[1].error.message == "The stream ends here; resume from its last cursor."
    assert messages[1].cursor == messages[0].cursor


async def test_a_process_that_stops_ends_its_streams_with_a_message(harness: Harness) -> None:
    async with harness.running("order", work=False) as running:
        shop = Shop(running, harness.issuer)
        streams = [shop.watch() for _ in range(5)]
        begun = [(await stream.read()).cursor for stream in streams]
        reading = asyncio.gather(*(read_to_end(stream) for stream in streams))
        await running.app.stop()
        for cursor, messages in zip(begun, await reading, strict=True):
            assert [m.WhichOneof("event") for m in messages] == ["error"]
            assert messages[0].error.code == StatusCode.UNAVAILABLE.value[0]
            assert messages[0].cursor == cursor


async def read_to_end(stream) -> list[WatchOrdersResponse]:
    messages = []
    while (message := await stream.read()) is not grpc.aio.EOF:
        messages.append(message)
    return messages


def lively(app: App):
    """The service, with a pulse that a test can wait for."""
    return build(app, heartbeat_interval=0.1)


async def test_a_database_that_becomes_unavailable_ends_the_stream_with_a_message(harness: Harness) -> None:
    async with harness.running("order", lively, work=False) as running:
        stream = Shop(running, harness.issuer).watch()
        await stream.read()
        await running.app.database.close()
        messages = await asyncio.wait_for(read_to_end(stream), 15)
        assert messages[-1].error.code == StatusCode.UNAVAILABLE.value[0]
        assert messages[-1].cursor


async def test_a_stream_without_changes_sends_heartbeats_whose_cursor_advances(harness: Harness) -> None:
    async with harness.running("order", lively, work=False) as running:
        shop = Shop(running, harness.issuer)
        ink = await shop.product()
        async with watching(shop) as (stream, begun):
            await shop.order((ink, 1), token=shop.issuer.user(ids.new("usr")))
            cursor = begun
            async with asyncio.timeout(10):
                while cursor == begun:
                    message = await stream.read()
                    assert message.WhichOneof("event") == "heartbeat"
                    cursor = message.cursor
        async with watching(shop, cursor) as (stream, _):
            mine = await shop.order((ink, 1))
            assert seen(await changes(stream, 1)) == [(mine.order_id, PENDING, "1")]


async def test_more_changes_than_one_read_has_arrive_complete_and_in_order(quiet_shop: Shop) -> None:
    heavy = [await quiet_shop.product(title="W" * 200) for _ in range(20)]
    async with watching(quiet_shop) as (_, begun):
        pass
    one = [(product, 1) for product in heavy]
    weight = (await quiet_shop.order(*one)).ByteSize()
    placed = [await quiet_shop.order(*one) for _ in range(repository.MAX_READ_BYTES // weight + 5)]
    async with watching(quiet_shop, begun) as (stream, _):
        found = await changes(stream, len(placed) + 1)
    assert [message.order.order_id for message in found[1:]] == [order.order_id for order in placed]


async def test_who_begins_to_watch_as_the_process_stops_begins_nothing_that_nobody_ends(harness: Harness) -> None:
    async with harness.running("order", work=False) as running:
        feed = Feed(running.app.database, running.app.vault)
        await feed.stop()
        before = asyncio.all_tasks()
        with feed.watch(Owner("customer", "usr_1")):
            assert asyncio.all_tasks() == before
