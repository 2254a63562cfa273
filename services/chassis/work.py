"""Work queues are tables: leased in batches with `FOR UPDATE SKIP LOCKED`, retried with backoff, dead after too many.

Delivery is at least once: a worker that dies leaves its lease to run out, and the job is leased again. SKIP LOCKED
reorders. `NOTIFY` comes after the commit (inside a transaction it serialises commits), with a slow poll as safety net.
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

from services.chassis import retention, telemetry
from services.chassis.clock import Clock
from services.chassis.database import Database, Query, Transaction
from services.chassis.logs import logger

log = logger("work")
KEEP_DONE = timedelta(hours=24)
KEEP_DEAD = timedelta(days=90)
"""Time enough for someone to look at what failed, and to replay it."""
SOON = 0.01
"""Seconds that the first announcement after a quiet time waits for company."""
APART = 0.1
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
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("due", DateTime(timezone=True), nullable=False),
        Column("leased_until", DateTime(timezone=True)),
        Column("state", Text, nullable=False, server_default="ready"),
        Column("error", Text, nullable=False, server_default=""),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("finished_at", DateTime(timezone=True)),
        Index(f"{name}_due", "due", postgresql_where=text("state = 'ready'")),
        Index(f"{name}_finished", "finished_at", postgresql_where=text("state <> 'ready'")),
        info=retention.delete(
            retention.Expiry("finished_at", KEEP_DONE, "state = 'done'"),
            retention.Expiry("finished_at", KEEP_DEAD, "state = 'dead'"),
        ),
    )


class Backoff(NamedTuple):
    """Waiting times between tries, in seconds: doubled from `first` up to `most`, each with jitter of half its length."""

    first: float = 0.5
    most: float = 300.0

    def delay(self, attempts: int) -> timedelta:
        """How long to wait after the given number of tries."""
        whole = min(self.most, self.first * 2 ** min(attempts - 1, 32))
        return timedelta(seconds=whole * random.uniform(0.5, 1.0))  # noqa: S311


@dataclass(slots=True)
class Job:
    """A leased piece of work. What the handler says nothing of is done."""

    id: int
    kind: str
    key: str | None
    payload: bytes
    traceparent: str
    attempts: int
    error: str = field(default="", init=False)
    wait: timedelta | None = field(default=None, init=False)
    state: str = field(default="done", init=False)

    def retry(self, error: str, after: timedelta | None = None) -> None:
        """Try again, after the queue's backoff or after a given time."""
        self.state, self.error, self.wait = "ready", error, after

    def dead(self, error: str) -> None:
        """Give up; the job is kept for `replay`."""
        self.state, self.error = "dead", error


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
        backoff: Backoff = Backoff(),  # noqa: B008
    ) -> None:
        """`lease`: seconds after which a worker that did not finish is taken for dead."""
        self.name = jobs.name
        self.lease_time = lease
        self._database = database
        self._clock = clock
        self._max_attempts = max_attempts
        self._backoff = backoff
        self._awake = asyncio.Event()
        self._notifying: asyncio.Task[None] | None = None
        self._unannounced = False
        self._announced = 0.0
        self._queries(jobs.name)

    def _queries(self, name: str) -> None:
        columns = "kind, key, payload, traceparent, due, created_at"
        self._insert = Query(
            f"INSERT INTO {name} ({columns}) VALUES (%(kind)s, %(key)s, %(payload)s, %(traceparent)s, %(due)s, %(now)s) "
            "ON CONFLICT (key) DO NOTHING",
            name=f"put {name}",
        )
        self._lease = Query(
            f"UPDATE {name} j SET leased_until = %(until)s, attempts = attempts + 1 FROM ("
            f"SELECT id FROM {name} WHERE state = 'ready' AND due <= %(now)s "
            "AND (leased_until IS NULL OR leased_until < %(now)s) ORDER BY due LIMIT %(most)s FOR UPDATE SKIP LOCKED"
            ") due WHERE j.id = due.id RETURNING j.id, j.kind, j.key, j.payload, j.traceparent, j.attempts",
            name=f"lease {name}",
        )
        # A lease that ran out and was taken by another worker is the other's to finish: attempts tells them apart.
        self._finish = Query(
            f"UPDATE {name} j SET state = r.state, error = r.error, due = r.due, leased_until = NULL, "
            "finished_at = CASE WHEN r.state = 'ready' THEN NULL ELSE %(now)s END FROM unnest("
            "%(ids)s::bigint[], %(attempts)s::int[], %(states)s::text[], %(errors)s::text[], %(dues)s::timestamptz[]"
            ") AS r(id, attempts, state, error, due) WHERE j.id = r.id AND j.attempts = r.attempts AND j.state = 'ready'",
            name=f"finish {name}",
        )
        self._release = Query(
            f"UPDATE {name} SET leased_until = NULL, attempts = attempts - 1 "
            "WHERE id = ANY(%(ids)s) AND state = 'ready' AND leased_until IS NOT NULL",
            name=f"release {name}",
        )
        self._replay = Query(
            f"UPDATE {name} SET state = 'ready', attempts = 0, due = %(now)s, leased_until = NULL, finished_at = NULL "
            "WHERE id = ANY(%(ids)s) AND state <> 'ready'",
            name=f"replay {name}",
        )
        self._notify = Query(f"NOTIFY {name}", name=f"notify {name}")
        self._depth = Query(
            f"SELECT count(*) AS ready, min(due) AS oldest FROM {name} WHERE state = 'ready'",
            name=f"count {name}",
        )

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
        now = self._clock.now()
        parent = telemetry.current_traceparent() if traceparent is None else traceparent
        values = {"kind": kind, "key": key, "payload": payload, "traceparent": parent, "due": due or now, "now": now}
        await tx.run(self._insert, **values)

    def wake(self) -> None:
        """Tell the workers, here and in other processes, that there is work. After the commit; never fails, never waits."""
        self._awake.set()
        self._unannounced = True
        if self._notifying is None or self._notifying.done():
            # In a context of its own: what it announces is many calls' work, so no call's trace or deadline holds it.
            self._notifying = asyncio.create_task(self._announce(), context=Context())

    async def _announce(self) -> None:
        """Tell other processes; what comes meanwhile is told with the next time."""
        while self._unannounced:
            await asyncio.sleep(max(SOON, self._announced + APART - monotonic()))
            self._unannounced, self._announced = False, monotonic()
            with contextlib.suppress(Exception):  # the poll finds the work anyway
                await self._database.run(self._notify)

    def awaken(self) -> None:
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
        now = self._clock.now()
        rows = await self._database.all(self._lease, now=now, until=now + timedelta(seconds=self.lease_time), most=most)
        return [Job(*row) for row in rows]

    async def finish(self, jobs: Sequence[Job]) -> None:
        """Write down what became of leased jobs."""
        now = self._clock.now()
        for job in jobs:
            if job.state == "ready" and job.attempts >= self._max_attempts:
                job.state = "dead"
        dues = [now + (job.wait or self._backoff.delay(job.attempts)) if job.state == "ready" else now for job in jobs]
        await self._database.run(
            self._finish,
            now=now,
            ids=[job.id for job in jobs],
            attempts=[job.attempts for job in jobs],
            states=[job.state for job in jobs],
            errors=[job.error[:500] for job in jobs],
            dues=dues,
        )
        for job in jobs:
            outcome = {"ready": "retried"}.get(job.state, job.state)
            telemetry.QUEUE_JOBS.labels(self.name, outcome).inc()
            if job.state == "dead":
                log.error("job_dead", queue=self.name, job=job.id, kind=job.kind, cause=job.error)

    async def release(self, jobs: Sequence[Job]) -> None:
        """Hand leases back untouched: another process may have them at once."""
        await self._database.run(self._release, ids=[job.id for job in jobs])

    async def replay(self, ids: Sequence[int]) -> int:
        """Make dead or done jobs ready again; how many there were."""
        count = await self._database.run(self._replay, ids=list(ids), now=self._clock.now())
        self.wake()
        return count

    async def measure(self) -> int:
        """Count what waits, for the metrics."""
        row = await self._database.one(self._depth)
        telemetry.QUEUE_DEPTH.labels(self.name).set(row.ready)
        lag = (self._clock.now() - row.oldest).total_seconds() if row.oldest else 0.0
        telemetry.QUEUE_LAG.labels(self.name).set(max(0.0, lag))
        return int(row.ready)
