"""Work queues on real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import psycopg
import pytest
from sqlalchemy import MetaData, create_engine
from weft_client.calls.breaker import Breaker, BreakerOpen

from chassis.clock import Clock, FixedClock
from chassis.queues.queue import Backoff, Job, Queue, table
from chassis.queues.worker import POLL_INTERVAL_S, Worker
from chassis.storage.database import Database, Query
from chassis.storage.listener import listen
from chassis.storage.retention import Sweep
from chassis.telemetry.tracing import Tracer
from tests import servers

pytestmark = pytest.mark.logs_errors("job_dead")

METADATA = MetaData()
JOBS = table("jobs", METADATA)
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


async def put(database: Database, queue: Queue, *kinds: str, key: str | None = None) -> None:
    async with database.transaction() as tx:
        for kind in kinds:
            await queue.put(tx, kind=kind, payload=b"", key=key)


async def test_a_commit_notifies_the_queues_that_were_put_to_and_a_rollback_does_not(
    database: Database, clock: FixedClock
) -> None:
    queue = Queue(database, JOBS, clock)
    notified: list[str] = []
    queue.notify = lambda: notified.append("queue")  # type: ignore[method-assign]

    async def fail() -> None:
        async with database.transaction() as tx:
            await queue.put(tx, kind="a", payload=b"")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert notified == []
    async with database.transaction() as tx:
        callback = queue.notify
        tx.after_commit(callback)
        tx.after_commit(callback)
        await queue.put(tx, kind="a", payload=b"")
        assert notified == []
    assert notified == ["queue"]


async def test_two_workers_never_hold_the_same_job(database: Database, clock: FixedClock) -> None:
    queue = Queue(database, JOBS, clock)
    await put(database, queue, *(str(n) for n in range(50)))
    batches = await asyncio.gather(*(queue.lease(10) for _ in range(5)))
    held = [job.id for batch in batches for job in batch]
    assert len(held) == len(set(held)) == 50


async def test_a_lease_that_ran_out_is_taken_by_another_and_the_late_one_changes_nothing(
    database: Database, clock: FixedClock
) -> None:
    queue = Queue(database, JOBS, clock, lease=30)
    await put(database, queue, "slow")
    (late,) = await queue.lease(1)
    assert await queue.lease(1) == []
    clock.advance(timedelta(seconds=31))
    assert await queue.lease(1) == []  # it may end this worker too: it is run alone
    (second,) = await queue.lease_suspect()
    late.dead("too late to say so")
    await queue.finish([late])
    await queue.finish([second])
    assert [tuple(row) for row in await database.all(ALL)] == [("slow", "done", 2, "")]


async def test_what_is_handed_back_late_is_not_taken_from_its_new_holder(database: Database, clock: FixedClock) -> None:
    queue = Queue(database, JOBS, clock, lease=30)
    await put(database, queue, "slow")
    late = await queue.lease(1)
    clock.advance(timedelta(seconds=31))
    (second,) = await queue.lease_suspect()
    await queue.release(late)
    assert await queue.lease(1) == await queue.lease_suspect() == []
    await queue.finish([second])
    assert [tuple(row) for row in await database.all(ALL)] == [("slow", "done", 2, "")]


async def test_what_is_handed_back_is_leased_again_at_once_and_no_attempt_is_counted(
    database: Database, clock: FixedClock
) -> None:
    queue = Queue(database, JOBS, clock)
    await put(database, queue, "job")
    await queue.release(await queue.lease(1))
    (again,) = await queue.lease(1)
    assert (again.lease, again.attempts) == (2, 1)


class Skewed(Clock):
    """The clock of a process that is fast or slow."""

    def __init__(self, seconds: float) -> None:
        self._by = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return super().now() + self._by


@pytest.mark.parametrize("seconds", [-45, 45])
async def test_processes_whose_clocks_differ_agree_on_leases_and_due_times(database: Database, seconds: float) -> None:
    skewed, right = Queue(database, JOBS, Skewed(seconds)), Queue(database, JOBS, Clock())
    await put(database, skewed, "first")
    (job,) = await right.lease(1)
    assert await skewed.lease(1) == await skewed.lease_suspect() == []
    job.retry("at once", timedelta(0))
    await right.finish([job])
    (job,) = await skewed.lease(1)
    assert await right.lease(1) == await right.lease_suspect() == []
    job.retry("at once", timedelta(0))
    await skewed.finish([job])
    assert len(await right.lease(1)) == 1


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


async def test_a_job_that_exceeds_its_time_is_tried_alone_and_set_aside_the_second_time(database: Database) -> None:
    queue = Queue(database, JOBS, Clock(), lease=0.5, backoff=Backoff(first=0.01, most=0.01))
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
    queue = Queue(database, JOBS, clock, max_attempts=2, backoff=Backoff(first=10, most=10))

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
    queue = Queue(database, JOBS, clock)
    await put(database, queue, "a", key="k")
    await put(database, queue, "b", key="k")
    assert [row.kind for row in await database.all(ALL)] == ["a"]


async def test_the_commit_of_a_put_notifies_the_workers_of_other_processes(
    database: Database, clock: FixedClock
) -> None:
    here, there = Queue(database, JOBS, clock), Queue(database, JOBS, clock)
    done: list[str] = []

    async def handle(jobs: list[Job]) -> None:
        done.extend(job.kind for job in jobs)

    worker = Worker(here, handle)
    tasks = [
        asyncio.create_task(listen(database.url, {here.name: here.on_notified})),
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


async def test_done_jobs_are_kept_for_a_day_and_dead_ones_for_90(database: Database, clock: FixedClock) -> None:
    queue = Queue(database, JOBS, clock)
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
