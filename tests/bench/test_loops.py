"""The two loops, with senders that stall."""

import asyncio

import pytest

from bench.load import loops
from bench.load.plan import Plan


def _plan(**more: object) -> Plan:
    return Plan("http", [], "", warm_up=0.0, **more)  # type: ignore[arg-type]


def _ignore(_: str) -> None:
    """Takes no note of the window."""


async def test_an_open_loop_counts_the_wait_of_requests_that_fell_due_in_a_stall() -> None:
    """One sender stalls until 20 requests more are due; each of them waited for it, and their latencies say so."""
    sent = 0
    loop = asyncio.get_running_loop()
    began = loop.time()
    stall = 0.2

    async def send() -> str:
        nonlocal sent
        sent += 1
        if sent == 1:
            await asyncio.to_thread(_until, lambda: loop.time() - began > stall)
        return "OK"

    tally = loops.Tally()
    await loops.open_(_plan(rate=100.0, seconds=0.6), [send], tally, _ignore)
    slow = sum(latency > stall / 4 for latency in tally.latencies)
    assert slow >= 10, "a closed loop would have seen one slow request"


def _until(condition: object) -> None:
    while not condition():  # type: ignore[operator]
        pass


async def test_a_closed_loop_keeps_each_sender_busy_with_one_request() -> None:
    running = most = 0

    async def send() -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return "201"

    tally, marks = loops.Tally(), []
    seconds = await loops.closed(_plan(seconds=0.1), [send] * 5, tally, marks.append)
    outcome = tally.outcome(seconds)
    assert (most, marks, set(outcome.statuses)) == (5, ["begin", "end"], {"201"})
    assert outcome.done == outcome.statuses["201"] > 0


async def test_a_sender_that_fails_ends_the_run() -> None:
    async def send() -> str:
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        await loops.closed(_plan(seconds=30.0), [send], loops.Tally(), _ignore)
