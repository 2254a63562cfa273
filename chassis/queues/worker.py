"""Workers of queues: lease a batch, handle it, write down what became of it, until the process stops."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence

import psycopg
from weft_client.calls.breaker import Breaker

from chassis.queues.queue import Job, Queue
from chassis.telemetry.logs import logger

log = logger("worker")
POLL_INTERVAL_S = 5.0
"""Seconds between two looks at a queue that nobody announced work for, at most: apart, one connection serves all workers."""

BREAKER_CHECK_INTERVAL_S = 0.2
"""Seconds between two looks at a breaker that is open, at most."""

Handler = Callable[[Sequence[Job]], Awaitable[None]]


class Worker:
    """Leases batches from a queue and hands them to a handler, until it is stopped.

    What a worker died with, or took too long for, is tried alone, beside the batches: it holds nobody else up.
    """

    def __init__(
        self,
        queue: Queue,
        handler: Handler,
        *,
        batch: int = 100,
        concurrency: int = 1,
        breakers: Sequence[Breaker] = (),
    ) -> None:
        """`concurrency`: batches that are handled at once in this process.

        `breakers` guard what every job needs: while one is open the queue is left alone, and no attempt is used up.
        """
        self.queue = queue
        self._handler = handler
        self._batch = batch
        self._concurrency = concurrency
        self._breakers = breakers
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Work until `stop`; survives a database that comes and goes."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._concurrency):
                group.create_task(self._loop(self.once, self.queue.wait))
            group.create_task(self._loop(self.once_suspect, self._rest))

    def stop(self) -> None:
        """Lease no more; what is in hand is finished."""
        self._stopping.set()
        self.queue.on_notified()

    async def _loop(self, step: Callable[[], Awaitable[int]], wait: Callable[[float], Awaitable[None]]) -> None:
        pause = 0.1
        while not self._stopping.is_set():
            try:
                if closed := self._closed_for():
                    await self._rest(min(closed, BREAKER_CHECK_INTERVAL_S))
                elif not await step():
                    await wait(POLL_INTERVAL_S * random.uniform(0.5, 1.0))  # noqa: S311
                pause = 0.1
            except Exception as error:
                log.warning("worker_paused", queue=self.queue.name, cause=repr(error), seconds=pause)
                await self._rest(pause)
                pause = min(pause * 2, 5.0)
        self.queue.on_notified()  # the next loop of this queue stops too

    def _closed_for(self) -> float:
        """Seconds that a breaker asks for, 0 where work may go on."""
        return max((breaker.wait() for breaker in self._breakers), default=0.0)

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def once(self) -> int:
        """Handle one batch; how many jobs it had."""
        began = asyncio.get_running_loop().time()
        return await self._handle(await self.queue.lease(self._batch), began)

    async def once_suspect(self) -> int:
        """Handle one job that a worker died with or took too long for; how many there were."""
        began = asyncio.get_running_loop().time()
        jobs = await self.queue.lease_suspect()
        for job in jobs:
            if verdict := self.queue.verdict_on(job):
                job.dead(verdict)
                await self.queue.finish([job])
                return 1
        return await self._handle(jobs, began)

    async def _handle(self, jobs: Sequence[Job], began: float) -> int:
        """`began`: when the lease was asked for. The database counts from later, so our time is over first."""
        if not jobs:
            return 0
        if self._stopping.is_set() or asyncio.get_running_loop().time() > began + self.queue.lease_time / 2:
            await self.queue.release(jobs)
            return 0
        try:
            async with asyncio.timeout_at(began + self.queue.lease_time * 0.9) as limit:
                await self._handler(jobs)
        except Exception as error:
            undecided = [job for job in jobs if job.state == "done"]
            log.warning("jobs_failed", queue=self.queue.name, jobs=len(undecided), cause=repr(error))
            for job in undecided:
                job.retry("took longer than its time" if limit.expired() else type(error).__name__)
            if limit.expired():
                await self.queue.overran(undecided)
        await self.queue.finish(jobs)
        return len(jobs)


async def listen(url: str, queues: Sequence[Queue]) -> None:
    """Wake queues when other processes notify them, on one connection of its own. Runs until cancelled."""
    by_name = {queue.name: queue for queue in queues}
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                for name in by_name:
                    await connection.execute(f"LISTEN {name}")
                for queue in queues:
                    queue.on_notified()  # what was announced while nobody listened
                async for notice in connection.notifies():
                    by_name[notice.channel].on_notified()
        except psycopg.Error as error:
            log.warning("listener_lost", cause=type(error).__name__)
            await asyncio.sleep(1)
