"""Workers: time, failures, breakers and notifications."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from weft_client.calls.breaker import Breaker, BreakerOpen

from chassis import tasks
from chassis.clock import Clock, FixedClock
from chassis.queues.queue import Backoff, Job, Queue
from chassis.queues.worker import POLL_INTERVAL_S, Worker, rest_s
from chassis.storage.database import Database, Query
from chassis.storage.listener import listen
from tests import servers
from tests.chassis.queues.jobs import ALL, JOBS, put

pytestmark = pytest.mark.logs_errors("job_dead")


async def test_a_handlers_time_counts_from_before_the_lease(database: Database) -> None:
    queue = Queue(database, JOBS, Clock(), lease=60)
    ends: list[float] = []
    loop = asyncio.get_running_loop()

    async def handle(_: object) -> None:
        task = asyncio.current_task()
        assert task is not None
        ends.append(next(h.when() for h in loop._scheduled if "Timeout" in repr(h) and not h.cancelled()))  # type: ignore[attr-defined]

    await put(database, queue, "job")
    began = loop.time()
    assert await Worker(queue, handle).once() == 1
    assert began + 54 <= ends[0] < began + 60


async def test_an_open_breaker_pauses_the_worker_and_its_closing_lets_everything_through(database: Database) -> None:
    queue = Queue(database, JOBS, Clock(), max_attempts=1)
    breaker = Breaker("test", failures=1, first_pause_s=0.1, max_pause_s=0.1)
    down, handled, done = True, 0, 0

    async def handle(jobs: Sequence[Job]) -> None:
        nonlocal handled, done
        handled += 1
        for job in jobs:
            try:
                breaker.acquire()
            except BreakerOpen:
                job.defer("away")
                continue
            if down:
                breaker.failed()
                job.defer("away")
            else:
                breaker.succeeded()
                done += 1

    worker = Worker(queue, handle, batch=2, breakers=[breaker])
    await put(database, queue, *(str(n) for n in range(20)))
    running = asyncio.create_task(worker.run())
    try:

        async def probed() -> bool:
            return handled > 3

        await servers.until(probed, "some probes")
        assert {row.state for row in await database.all(ALL)} == {"ready"}
        down = False

        async def through() -> bool:
            return done == 20

        await servers.until(through, "every job")
    finally:
        worker.stop()
        await running
    assert {(row.state, row.error) for row in await database.all(ALL)} == {("done", "")}


async def test_what_a_handler_says_of_a_failure_is_kept_as_clean_and_bounded_text(
    database: Database, clock: FixedClock
) -> None:
    queue = Queue(database, JOBS, clock)
    await put(database, queue, "broken", "fine")
    broken, fine = await queue.lease(2)
    broken.dead("gr\udcfc\x00\r\n" + "x" * 10_000)
    await queue.finish([broken, fine])
    (said, _) = [row.error for row in await database.all(ALL)]
    assert said == ("gr\ufffd " + "x" * 10_000)[:500]
    assert [row.state for row in await database.all(ALL)] == ["dead", "done"]


async def test_a_failing_job_is_retried_with_backoff_and_dies_after_its_last_attempt(
    database: Database, clock: FixedClock
) -> None:
    queue = Queue(database, JOBS, clock, max_attempts=2, backoff=Backoff(first_s=10, max_s=10))

    async def fail(jobs: object) -> None:
        raise ValueError("never")

    worker = Worker(queue, fail)
    await put(database, queue, "broken")
    assert await worker.once() == 1
    assert await worker.once() == 0
    clock.advance(timedelta(seconds=10))
    assert await worker.once() == 1
    assert [tuple(row) for row in await database.all(ALL)] == [("broken", "dead", 2, "ValueError")]
    (row,) = await database.all(Query("SELECT id FROM jobs"))
    assert await queue.replay([row.id]) == 1
    assert [job.kind for job in await queue.lease(1)] == ["broken"]


async def test_the_commit_of_a_put_notifies_the_workers_of_other_processes(
    database: Database, clock: FixedClock
) -> None:
    here, there = Queue(database, JOBS, clock), Queue(database, JOBS, clock)
    done: list[str] = []

    async def handle(jobs: list[Job]) -> None:
        done.extend(job.kind for job in jobs)

    worker = Worker(here, handle)
    tasks = [
        asyncio.create_task(listen(database.url, {here.name: lambda _: here.on_notified()})),
        asyncio.create_task(worker.run()),
    ]
    try:
        await put(database, there, "announced")

        async def is_done() -> bool:
            return done == ["announced"]

        await servers.until(is_done, "the job", seconds=POLL_INTERVAL_S - 1)
    finally:
        worker.stop()
        await tasks[1]
        tasks[0].cancel()


@pytest.mark.parametrize(
    ("took_s", "full", "callers_wait", "rest"),
    [
        (0.005, False, False, 0.020),  # what comes within 25 ms shares the next batch
        (0.100, False, False, 0.050),  # a slow database gets larger batches
        (0.100, True, False, 0.0),  # a backlog is worked off without a pause
        (0.100, True, True, 0.150),  # unless callers wait: they get more than half
        (0.005, False, True, 0.020),
        (0.100, False, True, 0.150),
        (9.0, True, True, 0.5),  # never for longer: work goes on
    ],
)
def test_a_worker_rests_by_what_its_batch_took(took_s: float, full: bool, callers_wait: bool, rest: float) -> None:
    assert rest_s(took_s, full=full, callers_wait=callers_wait) == pytest.approx(rest)


def test_a_relay_rests_for_callers_only_while_it_is_behind() -> None:
    assert rest_s(0.1, full=False, callers_wait=True, relay=True) == pytest.approx(0.05)
    assert rest_s(0.1, full=True, callers_wait=True, relay=True) == pytest.approx(0.15)


async def test_a_worker_of_a_backlog_leaves_time_to_those_who_wait(database: Database) -> None:
    """The rest after each batch is at least as long as its batch took."""
    queue, began, ended = Queue(database, JOBS, Clock()), list[float](), list[float]()
    now = asyncio.get_running_loop().time

    async def handle(jobs: Sequence[Job]) -> None:
        began.append(now())
        await database.run(Query("SELECT pg_sleep(0.01)"))
        ended.append(now())

    await put(database, queue, *"abcd")
    worker = Worker(queue, handle, batch=1)
    worker.yield_to(lambda: 1)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(10):
        while await database.first(Query("SELECT FROM jobs WHERE state = 'ready'")):
            pass
    worker.stop()
    await running
    assert all(later - end >= end - start for start, end, later in zip(began, ended, began[1:], strict=False))


async def test_a_worker_ends_although_a_handler_loses_the_first_cancellation(database: Database, monkeypatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN_S", 0.05)
    begun, cancelled = asyncio.Event(), 0

    async def handle(_: object) -> None:
        nonlocal cancelled
        begun.set()
        while cancelled < 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:  # as a wait for a connection may do
                cancelled += 1

    queue = Queue(database, JOBS, Clock(), lease=300)
    await put(database, queue, "job")
    worker = Worker(queue, handle)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(20):
        await begun.wait()
        worker.stop()
        await tasks.end([running])
    assert cancelled == 2


async def test_a_cancellation_that_nobody_asked_for_fails_its_batch_and_no_other(database: Database) -> None:
    """As from a session that is closed while a request of it waits."""
    release = asyncio.Event()

    async def handle(jobs: Sequence[Job]) -> None:
        if jobs[0].kind == "broken":
            waiting = asyncio.get_running_loop().create_future()
            waiting.cancel()
            await waiting
        await release.wait()

    queue = Queue(database, JOBS, Clock(), max_attempts=5, backoff=Backoff(first_s=600, max_s=600))
    await put(database, queue, "broken", "fine")
    worker = Worker(queue, handle, batch=1, concurrency=2)
    running = asyncio.create_task(worker.run())

    async def found(*expected: tuple[str, str, str]) -> bool:
        return {(row.kind, row.state, row.error) for row in await database.all(ALL)} == set(expected)

    failed = ("broken", "ready", "CancelledError")
    await servers.until(lambda: found(failed, ("fine", "ready", "")), "the first one to fail")
    release.set()
    await servers.until(lambda: found(failed, ("fine", "done", "")), "the other one to be done")
    worker.stop()
    await running
