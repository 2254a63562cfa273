"""Dispatches notifications, each in a transaction of its own: one that fails is retried alone."""

from collections.abc import Sequence

from chassis.clock import Clock
from chassis.errors import Unavailable
from chassis.queues.queue import Job
from chassis.telemetry.logs import logger
from chassis.telemetry.tracing import Tracer
from services.notification.dispatch.repository import DispatchRepository

log = logger("dispatch")


class DispatchWorker:
    """The handler of the queue."""

    def __init__(self, dispatches: DispatchRepository, clock: Clock, tracer: Tracer) -> None:
        self._dispatches = dispatches
        self._clock = clock
        self._tracer = tracer

    async def __call__(self, jobs: Sequence[Job]) -> None:
        """Those that are due, one after another."""
        for job in jobs:
            with self._tracer.span("dispatch notification", parent=job.traceparent):
                try:
                    await self._dispatches.dispatch(job.payload.decode(), job.traceparent, self._clock.now())
                except Unavailable:
                    raise
                except Exception as error:  # of this notification: the others go on
                    log.warning("not_dispatched", key=job.key, cause=type(error).__name__)
                    job.retry(type(error).__name__)
