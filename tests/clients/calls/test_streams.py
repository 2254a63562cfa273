"""Streams resume where they broke, and say so when they cannot go on."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from google.api import httpbody_pb2
from google.rpc import code_pb2
from weft.order.v1 import order_pb2
from weft.order.v1.order_service_pb2 import WatchOrdersResponse as Change
from weft_client import ClientCredentials, Retries, errors, failures, testing

from tests.clients.wire import wire_to

QUICK = Retries(first_pause_s=0.01, max_pause_s=0.05)


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """What a server waits for; set at the end of the test at the latest."""
    event = threading.Event()
    yield event
    event.set()


def _change(number: int) -> Change:
    return Change(cursor=str(number), order=order_pb2.Order(order_id=f"ord_{number}"))


def _beat(number: int) -> Change:
    return Change(cursor=str(number), heartbeat=Change.Heartbeat())


def _end(error: failures.WeftError, cursor: str = "") -> Change:
    return Change(cursor=cursor, error=failures.to_status(error))


def _cursors(fakes: testing.Fakes) -> list[str]:
    return [received.request.cursor for received in fakes.calls("orders.watch_orders")]


def _ids(changes: list[Any]) -> list[str]:
    return [change.order.order_id for change in changes]


async def test_a_stream_resumes_from_the_last_cursor_heartbeats_included(connect: Any, fakes: testing.Fakes) -> None:
    @fakes.on("orders.watch_orders")
    def watch(request: Any) -> Iterator[Change]:
        if request.cursor == "0":
            yield _change(1)
            yield _beat(2)
            yield _end(errors.Unavailable("The service is being replaced."))
        elif request.cursor == "2":
            yield _end(errors.Unavailable("The service is being replaced."), cursor="2.1")
        elif request.cursor == "2.1":
            yield _change(3)
            raise errors.Unavailable("gone without a word")
        else:
            yield _change(4)

    client = connect(fakes.address, retries=QUICK)
    changes = await client.items("orders.watch_orders", cursor="0")
    assert (_ids(changes), _cursors(fakes)) == (["ord_1", "ord_3", "ord_4"], ["0", "2", "2.1", "3"])


async def test_a_cut_connection_resumes(connect: Any, fakes: testing.Fakes) -> None:
    async with wire_to(fakes.address) as wire:
        seen = threading.Event()

        @fakes.on("orders.watch_orders")
        def watch(request: Any) -> Iterator[Change]:
            if not request.cursor:
                yield _change(1)
                seen.wait(5)
                wire.cut()
            yield _change(2)

        client = connect(wire.address, retries=QUICK)
        changes = await client.items("orders.watch_orders", seen=seen.set)
    assert (_ids(changes), _cursors(fakes)) == (["ord_1", "ord_2"], ["", "1"])


async def test_a_terminal_error_that_stays_is_raised(connect: Any, fakes: testing.Fakes) -> None:
    fakes.reply("orders.watch_orders", _change(1), _end(errors.PaymentNotFound("No such payment.")))
    with pytest.raises(errors.PaymentNotFound) as raised:
        await connect(fakes.address).items("orders.watch_orders", cursor="x")
    assert (raised.value.domain, raised.value.attempts) == ("weft.order.v1", 1)


async def test_a_refused_stream_is_raised(connect: Any, fakes: testing.Fakes) -> None:
    fakes.fail("orders.watch_orders", errors.ScopeMissing("no", scope="orders.read"))
    with pytest.raises(errors.ScopeMissing) as raised:
        await connect(fakes.address).items("orders.watch_orders")
    assert raised.value.scope == "orders.read"
    assert len(_cursors(fakes)) == 1


async def test_a_stream_that_is_aged_by_its_deadline_resumes(connect: Any, fakes: testing.Fakes) -> None:
    fakes.reply("orders.watch_orders", _change(1))
    fakes.fail("orders.watch_orders", errors.DeadlineExceeded("too old"))
    client = connect(fakes.address, retries=QUICK)
    assert _ids(await client.items("orders.watch_orders")) == ["ord_1"]


async def test_a_timeout_bounds_the_whole_stream(connect: Any, fakes: testing.Fakes) -> None:
    over = threading.Event()

    @fakes.on("orders.watch_orders")
    def watch(_: Any) -> Iterator[Change]:
        yield _change(1)
        over.wait(10)

    with pytest.raises(errors.DeadlineExceeded):
        await connect(fakes.address).items("orders.watch_orders", timeout=0.4)
    over.set()


async def test_a_token_that_ends_under_a_stream_is_renewed(connect: Any, fakes: testing.Fakes) -> None:
    @fakes.on("orders.watch_orders")
    def watch(request: Any) -> Iterator[Change]:
        yield _change(2 if request.cursor else 1)
        if not request.cursor:
            yield _end(errors.TokenExpired("over"))

    client = connect(fakes.address, auth=ClientCredentials("cli_1", "hush"), retries=QUICK)
    assert _ids(await client.items("orders.watch_orders")) == ["ord_1", "ord_2"]
    assert len(fakes.calls("oauth.token")) == 2


async def test_a_closed_stream_ends_the_call_at_the_server(connect: Any, fakes: testing.Fakes) -> None:
    ended = threading.Event()

    @fakes.on("orders.watch_orders")
    def watch(_: Any) -> Iterator[Change]:
        try:
            for number in range(1_000_000):
                yield _change(number + 1)
        finally:
            ended.set()

    found = await connect(fakes.address).items("orders.watch_orders", most=3)
    assert _ids(found) == ["ord_1", "ord_2", "ord_3"]
    assert ended.wait(5)


async def test_the_cursor_is_there_to_be_kept(fakes: testing.Fakes) -> None:
    fakes.reply("orders.watch_orders", _change(1), _change(2))
    async with fakes.async_weft() as weft, weft.orders.watch_orders() as changes:
        async for change in changes:
            assert changes.cursor == change.cursor
            break
        assert changes.cursor == "1"


async def test_a_terminal_error_of_an_unknown_kind_is_still_told(connect: Any, fakes: testing.Fakes) -> None:
    status = Change()
    status.error.code = code_pb2.DATA_LOSS
    status.error.message = "gone"
    fakes.reply("orders.watch_orders", status)
    with pytest.raises(errors.Internal, match="gone"):
        await connect(fakes.address).items("orders.watch_orders")


async def test_who_reads_a_stream_is_done_when_another_closes_it(
    connect: Any, fakes: testing.Fakes, held: threading.Event
) -> None:
    waits = threading.Event()

    @fakes.on("orders.watch_orders")
    def watch(_: Any) -> Iterator[Change]:
        yield _change(1)
        waits.set()
        held.wait(20)

    stream = connect(fakes.address).stream("orders.watch_orders")
    assert _ids([await stream.read()]) == ["ord_1"]
    reading = asyncio.create_task(stream.read())
    assert await asyncio.to_thread(waits.wait, 20)
    await stream.close()
    assert await asyncio.wait_for(reading, 20) is None
    assert await stream.read() is None


async def test_a_stream_that_is_closed_before_its_token_has_come_is_not_opened(
    connect: Any, fakes: testing.Fakes, held: threading.Event
) -> None:
    asked = threading.Event()

    @fakes.on("oauth.token")
    def token(_: Any) -> httpbody_pb2.HttpBody:
        asked.set()
        held.wait(20)
        return httpbody_pb2.HttpBody(data=b'{"access_token": "late", "token_type": "Bearer", "expires_in": 900}')

    fakes.reply("orders.watch_orders", _change(1))
    stream = connect(fakes.address, auth=ClientCredentials("cli_1", "hush")).stream("orders.watch_orders")
    reading = asyncio.create_task(stream.read())
    assert await asyncio.to_thread(asked.wait, 20)
    await stream.close()
    held.set()
    assert await asyncio.wait_for(reading, 20) is None
    assert fakes.calls("orders.watch_orders") == []


async def test_who_waits_to_resume_is_done_when_another_closes_it(connect: Any, fakes: testing.Fakes) -> None:
    broken = threading.Event()

    @fakes.on("orders.watch_orders")
    def watch(_: Any) -> Iterator[Change]:
        yield _change(1)
        broken.set()
        yield _end(errors.Unavailable("restarting", retry_after=600))

    stream = connect(fakes.address).stream("orders.watch_orders")
    assert _ids([await stream.read()]) == ["ord_1"]
    reading = asyncio.create_task(stream.read())
    assert await asyncio.to_thread(broken.wait, 20)
    await stream.close()
    assert await asyncio.wait_for(reading, 20) is None
