"""The time that calls may take: kept for each, by one timer for all, and distinguished from other cancellations."""

import asyncio

import pytest

from chassis.rpc.deadlines import TimeLimit


async def answer(after: asyncio.Event) -> str:
    await after.wait()
    return "answered"


async def test_a_call_in_time_is_answered_and_one_too_long_is_cancelled_and_told() -> None:
    limit, soon, never = TimeLimit(0.2), asyncio.Event(), asyncio.Event()
    stuck = asyncio.create_task(limit.enforce(answer(never)))
    quick = asyncio.create_task(limit.enforce(answer(soon)))
    asyncio.get_running_loop().call_later(0.01, soon.set)
    assert await quick == "answered"
    with pytest.raises(TimeoutError):
        await stuck
    assert not stuck.cancelled() and not stuck.cancelling()


async def test_each_call_has_its_whole_time() -> None:
    loop, limit = asyncio.get_running_loop(), TimeLimit(0.3)
    ends: list[float] = []

    async def call() -> None:
        began = loop.time()
        with pytest.raises(TimeoutError):
            await limit.enforce(answer(asyncio.Event()))
        ends.append(loop.time() - began)

    async def call_later() -> None:
        with pytest.raises(TimeoutError):
            await TimeLimit(0.1).enforce(answer(asyncio.Event()))
        await call()

    await asyncio.gather(call(), call_later())
    assert len(ends) == 2 and min(ends) >= 0.3

    with pytest.raises(TimeoutError):  # and the timer is set again after a quiet time
        await limit.enforce(answer(asyncio.Event()))


async def test_a_caller_that_goes_away_is_no_timeout() -> None:
    limit = TimeLimit(30)
    call = asyncio.create_task(limit.enforce(answer(asyncio.Event())))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_an_error_of_the_call_stays_its_own() -> None:
    async def fail() -> None:
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        await TimeLimit(30).enforce(fail())
