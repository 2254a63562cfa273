"""The end of a process, as its callers see it."""

import asyncio

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chassis.errors import ServiceUnavailable
from chassis.storage.database import Query
from tests.chassis.probe.service import Items, serve
from tests.harness import Harness, reason_of
from tests.servers import until


async def test_a_process_ends_although_a_task_takes_its_cancellation_for_an_error(harness: Harness) -> None:
    app = harness.app("probe")
    app.tokens.use(harness.issuer.jwks)
    await serve(app, Items())
    cancelled = 0

    async def stubborn() -> None:
        nonlocal cancelled
        while cancelled < 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:  # as a statement that is broken off may do
                cancelled += 1

    await app.start()
    app.run_in_background(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await app.stop()
    assert cancelled == 2


async def test_a_process_that_stops_serves_on_until_its_callers_have_gone(harness: Harness, monkeypatch) -> None:
    monkeypatch.setattr("chassis.app.DRAIN_IDLE_S", 1.0)  # callers on a busy machine are slow
    app = harness.app("probe", drain=60)
    app.tokens.use(harness.issuer.jwks)
    await serve(app, Items())
    async with harness.channel("probe", f"127.0.0.1:{await app.start()}") as channel:
        get = channel.unary_unary("/weft.lab.v1.ItemService/GetItem")
        health = health_pb2_grpc.HealthStub(channel)
        answers: list[str] = []
        gone = asyncio.Event()

        async def call_again() -> None:
            while not gone.is_set():
                answers.append(await reason_of(get(b"")))

        async def noticed() -> bool:
            reply = await health.Check(health_pb2.HealthCheckRequest())
            return reply.status == health_pb2.HealthCheckResponse.NOT_SERVING

        async def answered(more: int) -> bool:
            return len(answers) > more

        caller, stopping = asyncio.create_task(call_again()), asyncio.create_task(app.stop())
        await until(noticed, "the process to say that it is not serving")
        known = len(answers)
        await until(lambda: answered(known + 20), "calls that come all the same to be answered")
        assert not stopping.done()
        gone.set()
        await caller
        async with asyncio.timeout(20):  # far below the time that it would have waited for callers
            await stopping
    assert set(answers) == {"TOKEN_MISSING"}


async def test_a_part_that_fails_as_it_ends_leaves_none_of_the_others_open(harness: Harness) -> None:
    app = harness.app("probe")
    app.tokens.use(harness.issuer.jwks)
    await serve(app, Items())
    ended: list[str] = []

    async def fail() -> None:
        raise ValueError("a bad end")

    async def end() -> None:
        ended.append("after it")

    await app.start()
    app.on_stop(fail)
    app.on_stop(end)
    forever = asyncio.get_running_loop().create_future()
    app.run_in_background(wait_for(forever))
    with pytest.raises(ValueError, match="a bad end"):
        await app.stop()
    assert ended == ["after it"]
    assert forever.cancelled()
    with pytest.raises(ServiceUnavailable):  # as the pool is closed
        await app.database.all(Query("SELECT 1"))


async def wait_for(future: asyncio.Future[None]) -> None:
    await future
