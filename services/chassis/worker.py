"""Workers of queues: lease a batch, handle it, write down what became of it, until the process stops."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

import psycopg

from services.chassis.logs import logger
from services.chassis.work import Job, Queue

log = logger("worker")
POLL = 5.0
"""Seconds between two looks at a queue that nobody announced work for, at most: apart, one connection serves all workers."""

Handler = Callable[[Sequence[Job]], Awaitable[None]]


class Worker:
    """Leases batches from a queue and hands them to a handler, until it is stopped."""

    def __init__(self, queue: Queue, handler: Handler, *, batch: int = 100, concurrency: int = 1) -> None:
        """`concurrency`: batches that are handled at once in this process."""
        self.queue = queue
        self._handler = handler
        self._batch = batch
        self._concurrency = concurrency
        self._stopping = False

    async def run(self) -> None:
        """Work until `stop`; survives a database that comes and goes."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._concurrency):
                group.create_task(self._loop())

    def stop(self) -> None:
        """Lease no more; what is in hand is finished."""
        self._stopping = True
        self.queue.awaken()

    async def _loop(self) -> None:
        pause = 0.1
        while not self._stopping:
            try:
                if not await self.once():
                    await self.queue.wait(POLL * random.uniform(0.5, 1.0))  # noqa: S311
                pause = 0.1
            except Exception as error:
                log.warning("worker_paused", queue=self.queue.name, cause=repr(error), seconds=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
        self.queue.awaken()  # the next loop of this queue stops too

    async def once(self) -> int:
        """Handle one batch; how many jobs it had."""
        jobs = await self.queue.lease(self._batch)
        if not jobs:
            return 0
        if self._stopping:
            await self.queue.release(jobs)
            return 0
        try:
            async with asyncio.timeout(self.queue.lease_time * 0.9):
                await self._handler(jobs)
        except Exception as error:
            log.warning("jobs_failed", queue=self.queue.name, jobs=len(jobs), cause=repr(error))
            for job in jobs:
                if job.state == "done":
                    job.retry(type(error).__name__)
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
                    queue.awaken()  # what was announced while nobody listened
                async for notice in connection.notifies():
                    by_name[notice.channel].awaken()
        except psycopg.Error as error:
            log.warning("listener_lost", cause=type(error).__name__)
            await asyncio.sleep(1)
