"""Jobs that overrun their lease: tried alone, set aside, counted whoever has the lease."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from chassis.clock import Clock, FixedClock
from chassis.queues import worker as workers
from chassis.queues.queue import Backoff, Job, Queue
from chassis.queues.worker import Worker
from chassis.storage.database import Database
from tests import servers
from tests.chassis.queues.jobs import ALL, JOBS, put

pytestmark = pytest.mark.logs_errors("job_dead")


async def test_a_job_that_exceeds_its_time_is_tried_alone_and_set_aside_the_second_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "POLL_INTERVAL_S", 0.1)
    # A tenth of the lease is what a busy machine has to say so before it ends.
    queue = Queue(database, JOBS, Clock(), lease=2.0, backoff=Backoff(first_s=0.01, max_s=0.01))
    handled: list[list[str]] = []

    async def handle(jobs: Sequence[Job]) -> None:
        handled.append([job.kind for job in jobs])
        if any(job.kind == "endless" for job in jobs):
            await asyncio.Event().wait()

    worker = Worker(queue, handle)
    await put(database, queue, "innocent", "endless")
    await worker.once()
    running = asyncio.create_task(worker.run())
    try:

        async def settled() -> bool:
            return {row.state for row in await database.all(ALL)} == {"done", "dead"}

        await servers.until(settled, "both to be settled")
    finally:
        worker.stop()
        await running
    assert sorted(map(sorted, handled)) == [["endless"], ["endless", "innocent"], ["innocent"]]
    assert [tuple(row) for row in await database.all(ALL)] == [
        ("innocent", "done", 2, ""),
        ("endless", "dead", 3, "overran its lease 2 times"),
    ]


async def test_jobs_that_leave_their_batch_end_alone_and_bound_what_is_leased(database: Database) -> None:
    queue = Queue(database, JOBS, Clock(), lease=1.5, backoff=Backoff(first_s=60, max_s=60))
    let_go, slow = asyncio.Event(), 0

    async def take_long(job: Job) -> None:
        if job.kind == "endless":
            await asyncio.Event().wait()
        await let_go.wait()
        if job.kind == "broken":
            raise ValueError
        job.retry("in vain")

    async def handle(jobs: Sequence[Job]) -> None:
        nonlocal slow
        for job in jobs:
            if job.kind != "fast":
                slow += 1
                job.goes_on(asyncio.create_task(take_long(job)))

    worker = Worker(queue, handle, batch=2, max_late=3)
    await put(database, queue, "slow", "fast", "slow", "fast", "broken", "endless", "slow", "slow")
    running = asyncio.create_task(worker.run())
    try:

        async def full() -> bool:
            return slow == 4

        await servers.until(full, "four late jobs, as batches are of two")
        rows = await database.all(ALL)
        assert [row.state for row in rows if row.kind == "fast"] == ["done", "done"]
        assert {(row.state, row.attempts) for row in rows[-2:]} == {("ready", 0)}
        let_go.set()

        async def all_tried() -> bool:
            return slow == 6 and not worker._late

        await servers.until(all_tried, "every job")
    finally:
        worker.stop()
        await running
    found = {(row.kind, row.state, row.error) for row in await database.all(ALL)}
    assert found == {
        ("fast", "done", ""),
        ("slow", "ready", "in vain"),
        ("broken", "ready", "ValueError"),
        ("endless", "ready", "overran its lease"),
    }


async def test_overruns_count_whoever_has_the_lease_by_then(database: Database, clock: FixedClock) -> None:
    queue = Queue(database, JOBS, clock, lease=30)
    await put(database, queue, "slow")
    first = await queue.lease(1)
    clock.advance(timedelta(seconds=31))
    second = await queue.lease_suspect()
    await queue.overran(first)  # the loop of the first was blocked, and is free again
    await queue.overran(second)
    clock.advance(timedelta(seconds=31))
    (third,) = await queue.lease_suspect()
    assert queue.give_up_reason(third) == "overran its lease 2 times"


async def test_a_queue_that_gives_nothing_up_tries_on(database: Database, clock: FixedClock) -> None:
    queue = Queue(database, JOBS, clock, max_overruns=None, max_attempts=1_000_000)
    await put(database, queue, "slow")
    leased = await queue.lease(1)
    for _ in range(5):
        await queue.overran(leased)
        clock.advance(timedelta(seconds=31))
        leased = await queue.lease_suspect()
        assert queue.give_up_reason(leased[0]) == ""


async def test_a_job_that_ends_its_workers_is_set_aside_after_its_last_attempt(
    database: Database, clock: FixedClock
) -> None:
    queue = Queue(database, JOBS, clock, max_attempts=3)
    await put(database, queue, "deadly")
    assert len(await queue.lease(1)) == 1
    for _ in range(2):  # nothing more is heard of the workers
        clock.advance(timedelta(seconds=31))
        assert len(await queue.lease_suspect()) == 1
    clock.advance(timedelta(seconds=31))

    async def handle(_: object) -> None:
        raise AssertionError("never")

    assert await Worker(queue, handle).once_suspect() == 1
    assert [tuple(row) for row in await database.all(ALL)] == [
        ("deadly", "dead", 4, "crashed its worker in its last attempt")
    ]
