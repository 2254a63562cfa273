"""QueueService, which every service has: its queues, for operators."""

from datetime import UTC, datetime

from weft.api.v1 import queue_pb2 as pb

from chassis.queues import payloads
from chassis.queues.inspection import MAX_JOBS, Filter, Inspection
from chassis.rpc.call import Call
from chassis.rpc.pagination import OLDEST, Pages
from chassis.storage.database import Row
from chassis.times import timestamp


class QueueHandlers:
    """QueueService of any service."""

    def __init__(self, inspection: Inspection, pages: Pages) -> None:
        self._inspection = inspection
        self._pages = pages

    async def ListQueues(self, request: pb.ListQueuesRequest, _: Call) -> pb.ListQueuesResponse:
        """By name."""
        page = self._pages.read(request, {"list": "queues"}, start=OLDEST)
        rows = [row for row in await self._inspection.queues() if row.queue > page.after]
        queues, token = self._pages.split(page, rows, to_queue, key="queue")
        return pb.ListQueuesResponse(queues=queues, next_page_token=token)

    async def ListJobs(self, request: pb.ListJobsRequest, _: Call) -> pb.ListJobsResponse:
        """The dead ones, unless another state is asked for."""
        state = state_of(request.state)
        query = {"list": request.queue, "state": state, "kind": request.kind, "error": request.error}
        page = self._pages.read(request, query, start="0")
        rows = await self._inspection.jobs(
            request.queue,
            state,
            kind=request.kind,
            error=request.error,
            after=int(page.after),
            limit=page.limit,
        )
        jobs, token = self._pages.split(page, rows, to_job, key="id")
        return pb.ListJobsResponse(jobs=jobs, next_page_token=token)

    async def ReplayJobs(self, request: pb.ReplayJobsRequest, call: Call) -> pb.ReplayJobsResponse:
        """Up to a thousand."""
        count = await self._inspection.replay(request.queue, to_filter(request.filter), call.caller.actor)
        return pb.ReplayJobsResponse(replayed_count=count, more=count == MAX_JOBS)

    async def DiscardJobs(self, request: pb.DiscardJobsRequest, call: Call) -> pb.DiscardJobsResponse:
        """Up to a thousand."""
        count = await self._inspection.discard(request.queue, to_filter(request.filter), call.caller.actor)
        return pb.DiscardJobsResponse(discarded_count=count, more=count == MAX_JOBS)

    async def PauseQueue(self, request: pb.PauseQueueRequest, call: Call) -> pb.Queue:
        """In all replicas."""
        await self._inspection.pause(request.queue, request.reason, call.caller.actor)
        return to_queue(await self._inspection.queue(request.queue))

    async def ResumeQueue(self, request: pb.ResumeQueueRequest, call: Call) -> pb.Queue:
        """In all replicas."""
        await self._inspection.resume(request.queue, call.caller.actor)
        return to_queue(await self._inspection.queue(request.queue))


def state_of(state: "pb.JobState.ValueType") -> str:
    """As the table has it; dead by default."""
    return pb.JobState.Name(state or pb.JOB_STATE_DEAD).removeprefix("JOB_STATE_").lower()


def to_filter(message: pb.DeadJobFilter) -> Filter:
    """As the statements take it."""

    def time(name: str) -> datetime | None:
        return getattr(message, name).ToDatetime(UTC) if message.HasField(name) else None  # type: ignore[arg-type]

    return Filter(tuple(message.job_ids), message.kind, message.error, time("finished_after"), time("finished_before"))


def to_queue(row: Row) -> pb.Queue:
    """From a row of `Inspection.queues`."""
    return pb.Queue(
        queue=row.queue,
        ready_count=row.ready,
        dead_count=row.dead,
        oldest_due_time=timestamp(row.oldest),
        pause_time=timestamp(row.paused_at),
        pause_reason=row.reason,
    )


def to_job(row: Row) -> pb.Job:
    """From a row of `Inspection.jobs`."""
    return pb.Job(
        job_id=row.id,
        kind=row.kind,
        key=row.key,
        state=pb.JobState.Value(f"JOB_STATE_{row.state.upper()}"),
        attempts=row.attempts,
        error=row.error,
        create_time=timestamp(row.created_at),
        due_time=timestamp(row.due),
        finish_time=timestamp(row.finished_at),
        payload=payloads.shown(row.payload),
    )
