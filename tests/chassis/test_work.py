"""Work queues on real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import MetaData, create_engine

from services.chassis import work
from services.chassis.clock import FixedClock
from services.chassis.database import Database, Query
from services.chassis.retention import Sweep
from services.chassis.telemetry import Tracer
from services.chassis.worker import POLL, Worker, listen
from tests import servers

METADATA = MetaData()
JOBS = work.table("jobs", METADATA)
ALL = Query("SELECT kind, state, attempts, error FROM jobs ORDER BY id")


@pytest.fixture
async def database(postgres_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    name = f"work_{abs(hash(request.node.name)) % 10**8}"
    with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = psycopg.conninfo.make_conninfo(postgres_url, dbname=name)
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    METADATA.create_all(engine)
    engine.dispose()
    opened = Database(url, 4, Tracer(None, 0))
    await opened.open()
    yield opened
    await opened.close()


async def put(database: Database, queue: work.Queue, *kinds: str, key: str | None = None) -> None:
    async with database.transaction() as tx:
        for kind in kinds:
            await queue.put(tx, kind=kind, payload=b"", key=key)


async def test_two_workers_never_hold_the_same_job(database: Database, clock: FixedClock) -> None:
    queue = work.Queue(database, JOBS, clock)
    await put(database, queue, *(str(n) for n in range(50)))
    batches = await asyncio.gather(*(queue.lease(10) for _ in range(5)))
    held = [job.id for batch in batches for job in batch]
    assert len(held) == len(set(held)) == 50


async def test_a_lease_that_ran_out_is_taken_by_another_and_the_late_one_changes_nothing(
    database: Database, clock: FixedClock
) -> None:
    queue = work.Queue(database, JOBS, clock, lease=30)
    await put(database, queue, "slow")
    (late,) = await queue.lease(1)
    assert await queue.lease(1) == []
    clock.advance(timedelta(seconds=31))
    (second,) = await queue.lease(1)
    late.dead("too late to say so")
    await queue.finish([late])
    await queue.finish([second])
    assert [tuple(row) for row in await database.all(ALL)] == [("slow", "done", 2, "")]


async def test_a_failing_job_is_retried_with_backoff_and_dies_after_its_last_attempt(
    database: Database, clock: FixedClock
) -> None:
    queue = work.Queue(database, JOBS, clock, max_attempts=2, backoff=work.Backoff(first=10, most=10))

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


async def test_the_same_key_is_put_once(database: Database, clock: FixedClock) -> None:
    queue = work.Queue(database, JOBS, clock)
    await put(database, queue, "a", key="k")
    await put(database, queue, "b", key="k")
    assert [row.kind for row in await database.all(ALL)] == ["a"]


async def test_a_worker_wakes_for_work_that_another_process_announces(database: Database, clock: FixedClock) -> None:
    here, there = work.Queue(database, JOBS, clock), work.Queue(database, JOBS, clock)
    done: list[str] = []

    async def handle(jobs: list[work.Job]) -> None:
        done.extend(job.kind for job in jobs)

    worker = Worker(here, handle)
    tasks = [asyncio.create_task(listen(database.url, [here])), asyncio.create_task(worker.run())]
    try:
        await put(database, there, "announced")
        there.wake()

        async def is_done() -> bool:
            return done == ["announced"]

        await servers.until(is_done, "the job", seconds=POLL - 1)
    finally:
        worker.stop()
        await tasks[1]
        tasks[0].cancel()


async def test_done_jobs_are_kept_for_a_day_and_dead_ones_for_90(database: Database, clock: FixedClock) -> None:
    queue = work.Queue(database, JOBS, clock)
    await put(database, queue, "done", "dead")
    jobs = await queue.lease(2)
    next(job for job in jobs if job.kind == "dead").dead("for a reason")
    await queue.finish(jobs)
    sweep = Sweep(database, METADATA, clock)
    clock.advance(timedelta(hours=25))
    assert await sweep.run() == {"jobs": 1}
    assert [tuple(row) for row in await database.all(ALL)] == [("dead", "dead", 1, "for a reason")]
    clock.advance(timedelta(days=90))
    assert await sweep.run() == {"jobs": 1}
