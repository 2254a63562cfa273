"""Workers of queues: lease a batch, handle it, store the results, until the process stops."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from chassis import tasks
from chassis.faults import catalogue, switches
from chassis.queues.queue import Job, Queue
from chassis.telemetry.logs import logger

log = logger("worker")
POLL_INTERVAL_S = 5.0
"""Maximum seconds between two polls of a queue without a notification. Jittered, so that one connection serves all workers."""

LEASE_INTERVAL_S = 0.025
"""Minimum seconds between two leases of a loop, unless the first one was full: what comes meanwhile shares the second."""
REST_RATIO = 0.5
"""After a batch that was not full a loop rests for at least this part of the time that the batch took."""
YIELD_RATIO = 1.5
"""While callers wait a loop rests for this many times the time that the batch took, full or not."""
MAX_REST_S = 0.5
"""Maximum seconds that a loop rests: work goes on, however many calls there are."""

BREAKER_CHECK_INTERVAL_S = 0.2
"""Maximum seconds between two checks of an open breaker."""

Handler = Callable[[Sequence[Job]], Awaitable[None]]


class Guard(Protocol):
    """A circuit breaker: tells whether jobs would be in vain now."""

    def wait(self) -> float:
        """Seconds until they are not; 0 where they are not now."""
        ...


class Works(Protocol):
    """What a process runs beside its calls, and stops: a worker of a queue, or one with another way to lease."""

    async def run(self) -> None:
        """Work until `stop`."""
        ...

    def stop(self) -> None:
        """Begin nothing more; what has begun is finished."""
        ...


def rest_s(took_s: float, *, full: bool, callers_wait: bool, relay: bool = False) -> float:
    """Seconds from a batch to the next lease: larger batches cost less a job, and what callers wait for comes first.

    By the time that the batch took, so the rest is longer where the database or the cores are busy with others. A relay
    that keeps up takes hardly more for resting less, and every other service waits for what it hands on.
    """
    rest = 0.0 if full else max(LEASE_INTERVAL_S - took_s, REST_RATIO * took_s)
    return min(max(rest, YIELD_RATIO * took_s if callers_wait and (full or not relay) else 0.0), MAX_REST_S)


class Worker:
    """Leases batches from a queue and hands them to a handler, until it is stopped.

    A job whose last attempt crashed its worker or overran its lease is retried alone, beside the batches.
    """

    def __init__(
        self,
        queue: Queue,
        handler: Handler,
        *,
        batch: int = 100,
        concurrency: int = 1,
        max_late: int = 16,
        breakers: Sequence[Guard] = (),
    ) -> None:
        """`concurrency`: batches that are handled concurrently in this process. While `max_late` jobs have left their batches
        (`Job.goes_on`), none is leased.

        `breakers` guard the dependencies of every job: while one is open nothing is leased, and no attempt is used up.
        """
        self.queue = queue
        self._handler = handler
        self._batch = batch
        self._concurrency = concurrency
        self._max_late = max_late
        self._late: set[asyncio.Task[None]] = set()
        self._breakers = breakers
        self._stopping = asyncio.Event()
        self._is_relay = queue.name.endswith("outbox")
        self._callers_wait: Callable[[], int] = lambda: 0

    def yield_to(self, callers_wait: Callable[[], int]) -> None:
        """Leave the calls of this process their share of the loop, the database and the cores while some are in flight."""
        self._callers_wait = callers_wait

    async def run(self) -> None:
        """Work until `stop`; survives outages of the database."""
        loops = [self._loop(self.once, self.queue.wait) for _ in range(self._concurrency)]
        running = [asyncio.create_task(each) for each in (*loops, self._loop(self.once_suspect, self._pause))]
        try:
            await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
            await asyncio.gather(*(each for each in running if each.done() and not each.cancelled()))  # raises theirs
            await asyncio.gather(*self._late)
        finally:
            await tasks.end([*running, *self._late])

    def stop(self) -> None:
        """Lease no more jobs; the current batches are finished."""
        self._stopping.set()
        self.queue.on_notified()

    async def _loop(self, step: Callable[[], Awaitable[int]], wait: Callable[[float], Awaitable[None]]) -> None:
        pause, now = 0.1, asyncio.get_running_loop().time
        while not self._stopping.is_set():
            try:
                if wait_s := self._breaker_wait():
                    await self._pause(min(wait_s, BREAKER_CHECK_INTERVAL_S))
                elif len(self._late) >= self._max_late:
                    some = asyncio.FIRST_COMPLETED
                    await asyncio.wait(self._late, timeout=BREAKER_CHECK_INTERVAL_S, return_when=some)
                elif switches.on(catalogue.OUTBOX_STOPS if self._is_relay else catalogue.QUEUE_STALLS):
                    await self._pause(BREAKER_CHECK_INTERVAL_S)
                else:
                    began = now()
                    jobs = await step()
                    if not jobs:
                        await wait(POLL_INTERVAL_S * random.uniform(0.5, 1.0))  # noqa: S311
                    elif rest := self._rest_s(now() - began, jobs):
                        await self._pause(rest)
                pause = 0.1
            except Exception as error:
                log.warning("worker_paused", queue=self.queue.name, cause=repr(error), seconds=pause)
                await self._pause(pause)
                pause = min(pause * 2, 5.0)
        self.queue.on_notified()  # the next loop of this queue stops too

    def _rest_s(self, took_s: float, jobs: int) -> float:
        full = jobs >= self._batch
        return rest_s(took_s, full=full, callers_wait=self._callers_wait() > 0, relay=self._is_relay)

    def _breaker_wait(self) -> float:
        """Seconds until every breaker lets jobs through; 0 where all do now."""
        return max((breaker.wait() for breaker in self._breakers), default=0.0)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def once(self) -> int:
        """Handle one batch; returns the number of jobs."""
        began = asyncio.get_running_loop().time()
        return await self._handle(await self.queue.lease(self._batch), began)

    async def once_suspect(self) -> int:
        """Handle at most one suspect job; returns the number of jobs."""
        began = asyncio.get_running_loop().time()
        jobs = await self.queue.lease_suspect()
        for job in jobs:
            if reason := self.queue.give_up_reason(job):
                job.dead(reason)
                await self.queue.finish([job])
                return 1
        return await self._handle(jobs, began)

    async def _handle(self, jobs: Sequence[Job], began: float) -> int:
        """`began`: when the lease was requested, which is before it starts in the database: our time limit ends first."""
        if not jobs:
            return 0
        if self._stopping.is_set() or asyncio.get_running_loop().time() > began + self.queue.lease_time / 2:
            await self.queue.release(jobs)
            return 0
        if switches.on(catalogue.JOBS_DIE) and not self._is_relay:
            jobs[0].dead(catalogue.JOBS_DIE)
            await self.queue.finish(jobs[:1])
            if not (jobs := jobs[1:]):
                return 1
        until = began + self.queue.lease_time * 0.9
        try:
            await self._decide(jobs, self._handler(jobs), until)
        except BaseException:
            for job in jobs:
                if job.rest is not None:
                    job.rest.cancel()
            raise
        for job in jobs:
            if job.rest is not None:
                task = asyncio.create_task(self._finish_late(job, job.rest, until))
                self._late.add(task)
                task.add_done_callback(self._late.discard)
        return len(jobs)

    async def _decide(self, jobs: Sequence[Job], deciding: Awaitable[None], until: float) -> None:
        """Store what comes of jobs; those that go on afterwards are left out."""
        try:
            async with asyncio.timeout_at(until) as limit:
                await deciding
        except (Exception, asyncio.CancelledError) as error:
            me = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and me is not None and me.cancelling():
                raise  # else a session that is closed, or the like, has cancelled what the handler waited for
            undecided = [job for job in jobs if job.state == "done" and job.rest is None]
            log.warning("jobs_failed", queue=self.queue.name, jobs=len(undecided), cause=repr(error))
            for job in undecided:
                job.retry("overran its lease" if limit.expired() else type(error).__name__)
            if limit.expired():
                await self.queue.overran(undecided)
        await self.queue.finish([job for job in jobs if job.rest is None])

    async def _finish_late(self, job: Job, rest: asyncio.Task[None], until: float) -> None:
        """Never raises: what cannot be stored is leased again."""
        job.rest = None
        try:
            await self._decide([job], rest, until)
        except Exception as error:
            log.warning("late_job_not_stored", queue=self.queue.name, job=job.id, cause=repr(error))
        finally:
            rest.cancel()
