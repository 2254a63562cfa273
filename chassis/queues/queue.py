"""Work queues are tables: leased in batches with `FOR UPDATE SKIP LOCKED`, retried with backoff, dead after too many.

Delivery is at least once: a worker that dies leaves its lease to run out, and the job is leased again. The time of leases
is the database's, and each lease has its number, which every write of a result names. SKIP LOCKED reorders. `NOTIFY` comes after the commit (inside a transaction it serialises commits), with a slow poll as safety net.
"""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
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
from chassis.plain_text import single_line
from chassis.queues import statements
from chassis.storage import retention
from chassis.storage.database import Database, Query, Transaction
from chassis.telemetry import tracing
from chassis.telemetry.logs import logger

log = logger("work")
DONE_RETENTION = timedelta(hours=24)
DEAD_RETENTION = timedelta(days=90)
"""Time enough for someone to look at what failed, and to replay it."""
NOTIFY_DEBOUNCE_S = 0.01
"""Seconds that the first announcement after a quiet time waits for company."""
NOTIFY_MIN_INTERVAL_S = 0.1
"""Seconds between two announcements at least: each is a commit of its own."""


def table(name: str, metadata: MetaData) -> Table:
    """The table of a queue. `key`, where given, is unique: the same work is put once."""
    return Table(
        name,
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("kind", Text, nullable=False),
        Column("key", Text, unique=True),
        Column("payload", LargeBinary, nullable=False),
        Column("traceparent", Text, nullable=False, server_default=""),
        # Counts the leases, and never goes back: the number tells one lease from the next.
        Column("attempts", Integer, nullable=False, server_default="0"),
        # Leases that do not count as attempts: handed back, or failed because something that all jobs need was away.
        Column("excused", Integer, nullable=False, server_default="0"),
        # How often a handler took longer than its time.
        Column("overruns", Integer, nullable=False, server_default="0"),
        Column("due", DateTime(timezone=True), nullable=False),
        Column("leased_until", DateTime(timezone=True)),
        Column("state", Text, nullable=False, server_default="ready"),
        Column("error", Text, nullable=False, server_default=""),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("finished_at", DateTime(timezone=True)),
        Index(f"{name}_due", "due", postgresql_where=text("state = 'ready'")),
        Index(f"{name}_finished", "finished_at", postgresql_where=text("state <> 'ready'")),
        info=retention.delete(
            retention.Expiry("finished_at", DONE_RETENTION, "state = 'done'"),
            retention.Expiry("finished_at", DEAD_RETENTION, "state = 'dead'"),
        ),
    )


class Backoff(NamedTuple):
    """Waiting times between tries, in seconds: doubled from `first` up to `most`, each with jitter of half its length."""

    first: float = 0.5
    most: float = 300.0

    def delay(self, attempts: int) -> timedelta:
        """How long to wait after the given number of tries."""
        whole = min(self.most, self.first * 2 ** min(max(attempts, 1) - 1, 32))
        return timedelta(seconds=whole * random.uniform(0.5, 1.0))  # noqa: S311


@dataclass(slots=True)
class Job:
    """A leased piece of work. What the handler says nothing of is done. `lease` is the number of the lease."""

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

    @property
    def attempts(self) -> int:
        """Counts this one."""
        return self.lease - self.excused

    def retry(self, error: str, after: timedelta | None = None) -> None:
        """Try again, after the queue's backoff or after a given time."""
        self.state, self.error, self.wait = "ready", error, after

    def defer(self, error: str) -> None:
        """Try again soon, and do not count this attempt: something that all jobs need is away (see `Worker.breakers`)."""
        self.state, self.error, self.deferred = "ready", error, True

    def dead(self, error: str) -> None:
        """Give up; the job is kept for `replay`."""
        self.state, self.error = "dead", error


_announcing: set[asyncio.Task[None]] = set()
"""Event loops hold tasks weakly: a queue that nobody uses any more still says what it has to."""


class Queue:
    """One queue. Any number of processes may put and lease."""

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
    ) -> None:
        """`lease`: seconds after which a worker that did not finish is taken for dead.

        A job that took longer than its time `max_overruns` times is set aside; None: it is tried on, alone.
        """
        self.name = jobs.name
        self.lease_time = lease
        self._database = database
        self._clock = clock
        self._max_attempts = max_attempts
        self._max_overruns = max_overruns
        self._backoff = backoff
        self._awake = asyncio.Event()
        self._notifying: asyncio.Task[None] | None = None
        self._unannounced = False
        self._announced = 0.0
        self._sql = statements.of(jobs.name, clock.sql)

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
        """Add a job inside the caller's transaction; call `wake` after the commit. Work with a known key is put once."""
        parent = tracing.current_traceparent() if traceparent is None else traceparent
        values = {"kind": kind, "key": key, "payload": payload, "traceparent": parent, "due": due}
        await tx.run(self._sql.insert, now=self._clock.now(), **values)

    def notify(self) -> None:
        """Tell the workers, here and in other processes, that there is work. After the commit; never fails, never waits."""
        self._awake.set()
        self._unannounced = True
        if self._notifying is None or self._notifying.done():
            # In a context of its own: what it announces is many calls' work, so no call's trace or deadline holds it.
            self._notifying = asyncio.create_task(self._announce(), context=Context())
            _announcing.add(self._notifying)
            self._notifying.add_done_callback(_announcing.discard)

    async def _announce(self) -> None:
        """Tell other processes; what comes meanwhile is told with the next time."""
        while self._unannounced:
            await asyncio.sleep(max(NOTIFY_DEBOUNCE_S, self._announced + NOTIFY_MIN_INTERVAL_S - monotonic()))
            self._unannounced, self._announced = False, monotonic()
            with contextlib.suppress(Exception):  # the poll finds the work anyway
                await self._database.run(self._sql.notify)

    def on_notified(self) -> None:
        """Another process has put work."""
        self._awake.set()

    async def wait(self, timeout: float) -> None:
        """Until there may be work, or for `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._awake.wait()
        self._awake.clear()

    async def lease(self, most: int) -> list[Job]:
        """Jobs that are due, at most so many, ours for the lease time."""
        return await self._leased(self._sql.lease, most)

    async def lease_suspect(self) -> list[Job]:
        """A job that a worker took too long for or died with, to be tried alone; at most one."""
        return await self._leased(self._sql.lease_suspect, 1)

    async def _leased(self, query: Query, most: int) -> list[Job]:
        rows = await self._database.all(query, now=self._clock.now(), seconds=self.lease_time, most=most)
        return [Job(*row) for row in rows]

    def verdict_on(self, suspect: Job) -> str:
        """Why a suspect is not tried any more; empty where it is."""
        if self._max_overruns is not None and suspect.overruns >= self._max_overruns:
            return f"took longer than its time {suspect.overruns} times"
        return "ended its worker in its last attempt" if suspect.attempts > self._max_attempts else ""

    async def finish(self, jobs: Sequence[Job]) -> None:
        """Write down what became of leased jobs; a lease that ran out and was taken by another is the other's to finish."""
        for job in jobs:
            if job.state == "ready" and job.attempts >= self._max_attempts and not job.deferred:
                job.state = "dead"
        await self._database.run(
            self._sql.finish,
            now=self._clock.now(),
            ids=[job.id for job in jobs],
            leases=[job.lease for job in jobs],
            states=[job.state for job in jobs],
            errors=[single_line(job.error, 500) for job in jobs],
            waits=[self._wait(job).total_seconds() for job in jobs],
            excused=[int(job.deferred) for job in jobs],
        )
        for job in jobs:
            outcome = "deferred" if job.deferred else {"ready": "retried"}.get(job.state, job.state)
            tracing.QUEUE_JOBS.labels(self.name, outcome).inc()
            if job.state == "dead":
                log.error("job_dead", queue=self.name, job=job.id, kind=job.kind, cause=single_line(job.error, 500))

    def _wait(self, job: Job) -> timedelta:
        # A breaker holds the worker while what was missing is away; afterwards the job is wanted at once.
        if job.wait is not None:
            return job.wait
        return self._backoff.delay(min(1 + job.excused, 3) if job.deferred else job.attempts)

    async def overran(self, jobs: Sequence[Job]) -> None:
        """Note that a handler took longer than its time. A fact and no result: it holds whoever has the lease by now."""
        await self._database.run(self._sql.overran, ids=[job.id for job in jobs])

    async def release(self, jobs: Sequence[Job]) -> None:
        """Hand leases back untouched: another process may have them at once."""
        await self._database.run(self._sql.release, ids=[job.id for job in jobs], leases=[job.lease for job in jobs])

    async def replay(self, ids: Sequence[int]) -> int:
        """Make dead or done jobs ready again; how many there were."""
        count = await self._database.run(self._sql.replay, ids=list(ids), now=self._clock.now())
        self.notify()
        return count

    async def measure(self) -> int:
        """Count what waits, for the metrics."""
        row = await self._database.one(self._sql.measure, now=self._clock.now())
        tracing.QUEUE_DEPTH.labels(self.name).set(row.ready)
        tracing.QUEUE_LAG.labels(self.name).set(max(0.0, float(row.lag)))
        return int(row.ready)
