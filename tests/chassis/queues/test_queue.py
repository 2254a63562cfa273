"""Work queues on real PostgreSQL: who holds a job, and for how long."""

import asyncio
from datetime import datetime, timedelta

import pytest

from chassis.clock import Clock, FixedClock
from chassis.queues.queue import Queue
from chassis.queues.statements import deleting
from chassis.storage.database import Database, Query
from chassis.storage.retention import Sweep
from chassis.telemetry.tracing import QUEUE_JOBS
from tests.chassis.queues.jobs import ALL, JOBS, METADATA, put

pytestmark = pytest.mark.logs_errors("job_dead")


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


async def test_the_same_key_is_put_once(database: Database, clock: FixedClock) -> None:
    queue = Queue(database, JOBS, clock)
    await put(database, queue, "a", key="k")
    await put(database, queue, "b", key="k")
    assert [row.kind for row in await database.all(ALL)] == ["a"]


async def test_a_queue_that_forgets_keys_keeps_only_what_is_not_done(database: Database, clock: FixedClock) -> None:
    queue = Queue(database, JOBS, clock, forgets_keys=True)
    await put(database, queue, "done", key="1")
    await put(database, queue, "dead", key="2")
    jobs = {job.kind: job for job in await queue.lease(2)}
    jobs["dead"].dead("for a reason")
    await queue.finish([*jobs.values()])
    assert [tuple(row) for row in await database.all(ALL)] == [("dead", "dead", 1, "for a reason")]
    for key in ("1", "2"):
        await put(database, queue, "again", key=key)
    assert [row.kind for row in await database.all(ALL)] == ["dead", "again"]


async def test_the_statement_of_results_deletes_jobs_by_their_lease(database: Database, clock: FixedClock) -> None:
    queue = Queue(database, JOBS, clock, lease=30)
    await put(database, queue, "late", key="late")
    (late,) = await queue.lease(1)
    clock.advance(timedelta(seconds=31))
    assert len(await queue.lease_suspect()) == 1  # by another worker
    await put(database, queue, "mine", key="mine")
    (mine,) = await queue.lease(1)
    done = "(VALUES ('late', 1), ('mine', 1)) AS done(key, lease)"
    assert await database.run(Query(deleting(JOBS.name, done))) == 1
    for job in (late, mine):
        job.gone()
    counted = QUEUE_JOBS.labels(JOBS.name, "done")._value.get()
    await queue.finish([late, mine])
    assert QUEUE_JOBS.labels(JOBS.name, "done")._value.get() == counted + 2
    assert [tuple(row) for row in await database.all(ALL)] == [("late", "ready", 2, "")]


async def test_what_is_done_and_has_no_key_is_gone_unless_another_holds_its_lease(
    database: Database, clock: FixedClock
) -> None:
    queue = Queue(database, JOBS, clock, lease=30)
    async with database.transaction() as tx:
        for kind in ("done", "dead", "again"):
            await queue.put(tx, kind=kind, payload=b"")
    jobs = {job.kind: job for job in await queue.lease(3)}
    jobs["dead"].dead("for a reason")
    jobs["again"].retry("not yet", timedelta(seconds=60))
    await queue.finish([*jobs.values()])
    assert [tuple(row) for row in await database.all(ALL)] == [
        ("dead", "dead", 1, "for a reason"),
        ("again", "ready", 1, "not yet"),
    ]
    clock.advance(timedelta(seconds=61))
    (late,) = await queue.lease(1)
    clock.advance(timedelta(seconds=31))
    (holder,) = await queue.lease_suspect()
    await queue.finish([late])
    assert [row.kind for row in await database.all(ALL)] == ["dead", "again"]
    await queue.finish([holder])
    assert [row.kind for row in await database.all(ALL)] == ["dead"]


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
