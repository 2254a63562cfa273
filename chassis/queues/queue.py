"""Job queues in PostgreSQL tables: leased in batches with `FOR UPDATE SKIP LOCKED`, retried with backoff, then dead letters.

Delivery is at least once: the lease of a worker that dies expires, and the job is leased again. Leases use the database's
clock, and every write of a result names its lease's number (a fencing token). SKIP LOCKED does not keep the order.
NOTIFY is sent after the commit (inside a transaction it serialises commits), with a slow poll as safety net.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

from chassis.clock import Clock
from chassis.queues import statements
from chassis.queues.announcer import Announcer
from chassis.storage import retention
from chassis.storage.database import Database, Query, Transaction
from chassis.telemetry import tracing
from chassis.telemetry.logs import logger
from chassis.values.plain_text import single_line

log = logger("queue")
DONE_RETENTION = timedelta(hours=24)
DEAD_RETENTION = timedelta(days=90)
"""Dead letters are kept long enough to be inspected and replayed."""


def table(name: str, metadata: MetaData) -> Table:
    """The table of a queue. `key`, where given, is unique: a job with the same key is put once.

    What is done is deleted where it has no key, or where its queue `forgets_keys`. Else it loses its payload, and is kept
    for its key.
    """
    return Table(
        name,
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("kind", Text, nullable=False),
        Column("key", Text, unique=True),
        Column("payload", LargeBinary, nullable=False),
        Column("traceparent", Text, nullable=False, server_default=""),
        # The number of leases, never reset: it identifies the current lease.
        Column("attempts", Integer, nullable=False, server_default="0"),
        # Leases that do not count as attempts: released, or deferred because a dependency was unavailable.
        Column("excused", Integer, nullable=False, server_default="0"),
        # How often a handler overran its lease.
        Column("overruns", Integer, nullable=False, server_default="0"),
        Column("due", DateTime(timezone=True), nullable=False),
        Column("leased_until", DateTime(timezone=True)),
        Column("state", Text, nullable=False, server_default="ready"),
        Column("error", Text, nullable=False, server_default=""),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("finished_at", DateTime(timezone=True)),
        Index(f"{name}_due", "due", postgresql_where=text("state = 'ready'")),
        Index(f"{name}_finished", "finished_at", postgresql_where=text("state <> 'ready'")),
        # Dead letters are listed among any number of jobs that are done.
        Index(f"{name}_dead", "id", postgresql_where=text("state = 'dead'")),
        # A lease then writes its version to the same page, and no index (a heap-only tuple).
        postgresql_with={"fillfactor": "50"},
        info={
            "queue": True,
            **retention.delete(
                retention.Expiry("finished_at", DONE_RETENTION, "state = 'done'"),
                retention.Expiry("finished_at", DEAD_RETENTION, "state = 'dead'"),
            ),
        },
    )


def pauses(metadata: MetaData) -> Table:
    """The table of the queues that operators have paused; with it the queues of `metadata` can be."""
    return Table(
        "paused_queues",
        metadata,
        Column("queue", Text, primary_key=True),
        Column("reason", Text, nullable=False, server_default=""),
        Column("paused_at", DateTime(timezone=True), nullable=False),
        info=retention.keep("one row for each queue that is paused"),
    )


class Backoff(NamedTuple):
    """Exponential backoff: doubled from `first_s` up to `max_s`, each delay with a jitter of half its length."""

    first_s: float = 0.5
    max_s: float = 300.0

    def delay(self, attempts: int) -> timedelta:
        """The delay after the given number of attempts."""
        whole = min(self.max_s, self.first_s * 2 ** min(max(attempts, 1) - 1, 32))
        return timedelta(seconds=whole * random.uniform(0.5, 1.0))  # noqa: S311


@dataclass(slots=True)
class Job:
    """A leased job. It is done unless the handler says otherwise. `lease` is the number of the lease."""

    id: int
    kind: str
    key: str | None
    payload: bytes
    traceparent: str
    lease: int
    excused: int
    overruns: int
    error: str = field(default="", init=False)
    wait: timedelta | None = field(default=None, init=False)
    state: str = field(default="done", init=False)
    deferred: bool = field(default=False, init=False)
    rest: asyncio.Task[None] | None = field(default=None, init=False)

    @property
    def attempts(self) -> int:
        """Including this one."""
        return self.lease - self.excused

    def retry(self, error: str, after: timedelta | None = None) -> None:
        """Retry after the queue's backoff, or after a given time."""
        self.state, self.error, self.wait = "ready", error, after

    def defer(self, error: str) -> None:
        """Retry soon without counting the attempt: a dependency of all jobs is unavailable (see `Worker.breakers`)."""
        self.state, self.error, self.deferred = "ready", error, True

    def gone(self) -> None:
        """It is done, and the handler has deleted it with the results of its work (`statements.deleting`)."""
        self.state = "gone"

    def goes_on(self, rest: asyncio.Task[None]) -> None:
        """Leave the batch: `rest` decides the job within its lease, and the others are finished without it."""
        self.rest = rest

    def dead(self, error: str) -> None:
        """Dead-letter the job; it is kept for `replay`."""
        self.state, self.error = "dead", error


class Queue:
    """One queue; any number of processes may put and lease jobs."""

    def __init__(
        self,
        database: Database,
        jobs: Table,
        clock: Clock,
        *,
        lease: float = 30.0,
        max_attempts: int = 20,
        max_overruns: int | None = 2,
        backoff: Backoff = Backoff(),  # noqa: B008
        forgets_keys: bool = False,
    ) -> None:
        """`lease`: seconds after which a worker that has not finished is presumed dead.

        A job that has overrun its lease `max_overruns` times becomes dead; with None it is retried for ever, alone.
        `forgets_keys`: what is done is deleted, with its key: who puts jobs knows what is done.
        """
        self.name = jobs.name
        for outcome in ("dead", "retried"):  # from zero on: the first one is an increase, which an alert asks for
            tracing.QUEUE_JOBS.labels(self.name, outcome)
        self.table = jobs
        self.lease_time = lease
        self._database = database
        self._clock = clock
        self._max_attempts = max_attempts
        self._max_overruns = max_overruns
        self._backoff = backoff
        self._forgets_keys = forgets_keys
        self._announcer = Announcer(database, jobs.name)
        self._sql = statements.of(jobs.name, clock.sql, pausable="paused_queues" in jobs.metadata.tables)

    async def put(
        self,
        tx: Transaction,
        *,
        kind: str,
        payload: bytes,
        key: str | None = None,
        traceparent: str | None = None,
        due: datetime | None = None,
    ) -> None:
        """Add a job in the caller's transaction, whose commit notifies the workers. A job whose key exists is not added."""
        parent = tracing.current_traceparent() if traceparent is None else traceparent
        values = {"kind": kind, "key": key, "payload": payload, "traceparent": parent, "due": due}
        await tx.run(self._sql.insert, now=self._clock.now(), **values)
        tx.after_commit(self.notify)

    def notify(self) -> None:
        """Notify the workers, here and in other processes, of new jobs. Never fails, never waits.

        `put` does this by itself; call it after statements of your own have inserted jobs.
        """
        self._announcer.announce()

    def on_notified(self) -> None:
        """Wake the workers of this process: a notification has arrived."""
        self._announcer.hear()

    async def wait(self, timeout: float) -> None:
        """Wait for a notification, for at most `timeout` seconds."""
        await self._announcer.wait(timeout)

    async def lease(self, limit: int) -> list[Job]:
        """Lease up to `limit` jobs that are due."""
        return await self._leased(self._sql.lease, limit)

    async def lease_suspect(self) -> list[Job]:
        """Lease at most one job whose last attempt overran its lease or crashed its worker, to be retried alone."""
        return await self._leased(self._sql.lease_suspect, 1)

    async def _leased(self, query: Query, limit: int) -> list[Job]:
        rows = await self._database.all(query, now=self._clock.now(), seconds=self.lease_time, limit=limit)
        return [Job(**row._asdict()) for row in rows]

    def give_up_reason(self, suspect: Job) -> str:
        """Why a suspect job is given up; empty where it may be retried."""
        if self._max_overruns is not None and suspect.overruns >= self._max_overruns:
            return f"overran its lease {suspect.overruns} times"
        return "crashed its worker in its last attempt" if suspect.attempts > self._max_attempts else ""

    async def finish(self, jobs: Sequence[Job]) -> None:
        """Store the results of leased jobs. Skips jobs whose lease has expired and been taken by another worker."""
        for job in jobs:
            if job.state == "ready" and job.attempts >= self._max_attempts and not job.deferred:
                job.state = "dead"
        if forgotten := [job for job in jobs if self._forgets(job)]:
            ids, leases = [job.id for job in forgotten], [job.lease for job in forgotten]
            await self._database.run(self._sql.forget, ids=ids, leases=leases)
        if kept := [job for job in jobs if job.state != "gone" and not self._forgets(job)]:
            await self._database.run(
                self._sql.finish,
                now=self._clock.now(),
                ids=[job.id for job in kept],
                leases=[job.lease for job in kept],
                states=[job.state for job in kept],
                errors=[single_line(job.error, 500) for job in kept],
                waits=[self._wait(job).total_seconds() for job in kept],
                excused=[int(job.deferred) for job in kept],
            )
        for job in jobs:
            outcome = "deferred" if job.deferred else {"ready": "retried", "gone": "done"}.get(job.state, job.state)
            tracing.QUEUE_JOBS.labels(self.name, outcome).inc()
            if job.state == "dead":
                log.error("job_dead", queue=self.name, job=job.id, kind=job.kind, cause=single_line(job.error, 500))

    def _forgets(self, job: Job) -> bool:
        return job.state == "done" and (self._forgets_keys or job.key is None)

    def _wait(self, job: Job) -> timedelta:
        # The breaker pauses the worker while the dependency is unavailable; afterwards the job should run immediately.
        if job.wait is not None:
            return job.wait
        return self._backoff.delay(min(1 + job.excused, 3) if job.deferred else job.attempts)

    async def overran(self, jobs: Sequence[Job]) -> None:
        """Count an overrun of each job, whoever holds its lease now."""
        await self._database.run(self._sql.overran, ids=[job.id for job in jobs])

    async def release(self, jobs: Sequence[Job]) -> None:
        """Release leases without an attempt: another worker may lease the jobs immediately."""
        await self._database.run(self._sql.release, ids=[job.id for job in jobs], leases=[job.lease for job in jobs])

    async def replay(self, ids: Sequence[int]) -> int:
        """Make dead jobs ready again; returns how many."""
        count = await self._database.run(self._sql.replay, ids=list(ids), now=self._clock.now())
        self.notify()
        return count

    async def measure(self) -> int:
        """Update the metrics of depth and lag; returns the depth."""
        row = await self._database.one(self._sql.measure, now=self._clock.now())
        tracing.QUEUE_DEPTH.labels(self.name).set(row.ready)
        tracing.QUEUE_LAG.labels(self.name).set(max(0.0, float(row.lag)))
        return int(row.ready)
