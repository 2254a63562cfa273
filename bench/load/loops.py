"""The two loops, over any transport."""

import asyncio
import math
import time
from array import array
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence

from bench.load.plan import Outcome, Plan
from bench.numbers import percentile

Send = Callable[[], Awaitable[str]]
"""Sends the next request and returns the status of its reply."""

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


class Tally:
    """Counts replies and their latencies (seconds) while the window is open."""

    def __init__(self) -> None:
        self.open = False
        self.statuses: Counter[str] = Counter()
        self.latencies = array("d")

    def add(self, status: str, latency: float) -> None:
        """A reply came."""
        if self.open:
            self.statuses[status] += 1
            self.latencies.append(latency)

    def outcome(self, seconds: float, example: str = "") -> Outcome:
        """What was counted."""
        ordered = sorted(self.latencies)
        latency = {name: round(percentile(ordered, share) * 1000, 3) for name, share in QUANTILES.items()}
        latency = {name: 0.0 if math.isnan(value) else value for name, value in latency.items()}
        return Outcome(seconds, len(ordered), dict(self.statuses), latency, example)


async def closed(plan: Plan, senders: Sequence[Send], tally: Tally, mark: Callable[[str], None]) -> float:
    """Each sender sends its next request as soon as the last was answered. Returns the window's seconds."""
    running = True

    async def worker(send: Send) -> None:
        clock = time.perf_counter
        while running:
            began = clock()
            status = await send()
            tally.add(status, clock() - began)

    workers = [asyncio.create_task(worker(send)) for send in senders]
    failed = asyncio.gather(*workers)
    seconds = await _window(plan, tally, mark, failed)
    running = False
    await failed
    return seconds


async def open_(plan: Plan, senders: Sequence[Send], tally: Tally, mark: Callable[[str], None]) -> float:
    """Requests fall due at an even rate, whatever the server does; those that find no free sender wait for one."""
    due: deque[float] = deque()
    waiting: deque[asyncio.Event] = deque()
    running = True
    clock = time.perf_counter

    async def worker(send: Send) -> None:
        while running or due:
            if not due:
                event = asyncio.Event()
                waiting.append(event)
                await event.wait()
                continue
            moment = due.popleft()
            status = await send()
            tally.add(status, clock() - moment)

    async def schedule() -> None:
        following, gap = clock(), 1.0 / plan.rate
        while running:
            now = clock()
            while following <= now:
                due.append(following)
                following += gap
                if waiting:
                    waiting.popleft().set()
            await asyncio.sleep(max(following - clock(), 0.0005))

    tasks = [asyncio.create_task(worker(send)) for send in senders] + [asyncio.create_task(schedule())]
    failed = asyncio.gather(*tasks)
    seconds = await _window(plan, tally, mark, failed)
    running = False
    due.clear()
    for event in waiting:
        event.set()
    await failed
    return seconds


async def _window(plan: Plan, tally: Tally, mark: Callable[[str], None], failed: asyncio.Future[list[None]]) -> float:
    """Warms up, opens the window for its seconds, closes it; a worker's failure ends it immediately."""
    await _unless(failed, plan.warm_up)
    mark("begin")
    tally.open = True
    began = time.perf_counter()
    await _unless(failed, plan.seconds)
    tally.open = False
    seconds = time.perf_counter() - began
    mark("end")
    return seconds


async def _unless(failed: asyncio.Future[list[None]], seconds: float) -> None:
    done, _ = await asyncio.wait([failed], timeout=seconds)
    if done:
        await failed
