"""Open streams are shared: one caller, and one partner, leaves room for the others."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

import contract
from chassis.rpc import response, servers
from chassis.rpc.call import Call
from tests.chassis.probe import contract as pb
from tests.chassis.probe.service import Items, serving, stream
from tests.harness import Harness, Running, assert_refused
from tests.servers import until

USERS = ("usr_01k00000000000000000000000", "usr_01m00000000000000000000000")
PARTNERS = ("ptn_01k00000000000000000000000", "ptn_01m00000000000000000000000")


class Quiet(Items):
    """Streams that send one message and stay open."""

    async def WatchItems(self, request: Any, call: Call) -> AsyncIterator[Any]:
        yield pb.WatchItemsResponse(cursor="here")
        await asyncio.Event().wait()


def watch(running: Running, authorization: str) -> Any:
    return stream(running)(pb.WatchItemsRequest(), metadata=[("authorization", authorization)], timeout=60)


async def opened(running: Running, authorization: str) -> Any:
    """A stream that has sent its message."""
    found = watch(running, authorization)
    assert (await found.read()).cursor == "here"
    return found


async def test_one_caller_with_all_its_streams_leaves_room_for_another(harness: Harness) -> None:
    greedy, innocent = (harness.issuer.user(user) for user in USERS)
    async with serving(harness, Quiet(), stop_grace=0, max_streams_per_caller=3, max_concurrent_calls=4) as running:
        streams = [await opened(running, greedy) for _ in range(3)]
        found = await assert_refused(watch(running, greedy).read(), "TOO_MANY_STREAMS", limit="3")
        assert found.retry_after == 5.0
        other = await opened(running, innocent)

        streams[0].cancel()  # room is made by closing one

        async def is_closed() -> bool:
            return running.app.server_context.streams == 3

        await until(is_closed, "a stream to close")
        await opened(running, greedy)
        other.cancel()


async def test_a_partner_has_one_bound_for_all_its_clients(harness: Harness) -> None:
    def client(partner: str, number: int) -> str:
        return harness.issuer.partner(partner, "orders.read", f"cli_01k0000000000000000000000{number}")

    async with serving(harness, Quiet(), stop_grace=0, max_streams_per_caller=2, max_streams_per_partner=3) as running:
        for number in (1, 1, 2):
            await opened(running, client(PARTNERS[0], number))
        await assert_refused(watch(running, client(PARTNERS[0], 3)).read(), "TOO_MANY_STREAMS", limit="3")
        await opened(running, client(PARTNERS[1], 4))


def test_a_connection_of_any_age_lets_every_call_come_to_its_end() -> None:
    read = contract.load()
    grace = dict(servers.options(read))["grpc.max_connection_age_grace_ms"] / 1000
    assert [method.full_name for method in read.methods if method.deadline + 10 > grace] == []


class Flood(Items):
    """More than any buffer on the way holds."""

    made = 0

    async def WatchItems(self, request: Any, call: Call) -> AsyncIterator[Any]:
        while True:
            self.made += 1
            yield pb.WatchItemsResponse(cursor="x" * 100_000)


async def test_who_reads_on_too_late_is_told_so(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response, "STALL_TIMEOUT_S", 0.0)  # whatever is not read at once is late

    async with serving(harness, Flood(), stop_grace=0) as running:
        found = watch(running, harness.issuer.user(USERS[0]))
        await found.read()
        assert await found.code() == grpc.StatusCode.UNAVAILABLE
        assert "READER_TOO_SLOW" in str(await found.trailing_metadata())


async def test_for_who_does_not_read_nothing_more_is_made(harness: Harness) -> None:
    flood = Flood()
    async with serving(harness, flood, stop_grace=0) as running:
        found = watch(running, harness.issuer.user(USERS[0]))
        await found.read()
        made = -1
        while made != flood.made:  # until nothing more is made
            made = flood.made
            await asyncio.sleep(0.3)
        assert made < 1000, "what the windows on the way hold, and one message"
        found.cancel()
