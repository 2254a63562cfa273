"""The queues as operators see them: over the internal API and by command, for all services the same code."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from weft.api.v1 import queue_pb2 as pb
from weft.api.v1.event_pb2 import Event
from weft.notification.v1 import queue_service_pb2_grpc
from weft.user.v1.events_pb2 import UserVerified

from chassis import ids
from chassis.app import App
from services.notification.__main__ import build as build_service
from services.notification.observers import OBSERVERS
from tests.forks import Host
from tests.harness import DATA_KEY, assert_refused
from tests.notification import sample_events as events
from tests.notification.conftest import Start
from tests.servers import until

DIES = pytest.mark.logs_errors("job_dead")


def failing(reason: str) -> tuple[Callable[[App], Awaitable[None]], dict[str, bool]]:
    """A build whose observers of `user.verified` always fail."""
    observers = OBSERVERS.copy()
    broken = {"on": True}

    @observers.observes("user.verified", UserVerified)
    def notify_badly(event: Event, payload: UserVerified) -> None:
        if broken["on"]:
            raise ValueError(reason)

    async def with_failing(app: App):
        await build_service(app, observers)

    return with_failing, broken


@DIES
async def test_dead_jobs_are_listed_shown_replayed_and_discarded(start: Start) -> None:
    build, broken = failing("the provider said no")
    async with start(build) as service:
        rpc = queue_service_pb2_grpc.QueueServiceStub(service.running.channel)
        users = [service.users.add(ids.new("usr")) for _ in range(3)]
        for queue in service.app._queues:
            queue._max_attempts = 1
        made = [events.verified(user) for user in users]
        await service.publish(*made)
        await service.wait_until_idle()

        queues = {q.queue: q for q in (await rpc.ListQueues(pb.ListQueuesRequest())).queues}
        assert set(queues) == {"email_jobs", "event_jobs", "sms_jobs"} | set(queues)
        assert (queues["event_jobs"].dead_count, queues["event_jobs"].ready_count) == (3, 0)

        page = await rpc.ListJobs(pb.ListJobsRequest(queue="event_jobs", page_size=2))
        rest = await rpc.ListJobs(pb.ListJobsRequest(queue="event_jobs", page_size=2, page_token=page.next_page_token))
        jobs = [*page.jobs, *rest.jobs]
        assert [(j.kind, j.state, j.attempts) for j in jobs] == [("notify_badly", pb.JOB_STATE_DEAD, 1)] * 3
        assert "the provider said no" in jobs[0].error
        shown = {json.loads(job.payload)["eventId"]: json.loads(job.payload) for job in jobs}
        assert {event.event_id: event.user_id for event in made} == {e: s["userId"] for e, s in shown.items()}

        none = pb.ListJobsRequest(queue="event_jobs", error="something else")
        assert not (await rpc.ListJobs(none)).jobs
        later = Timestamp(seconds=jobs[0].finish_time.seconds + 60)
        for missed in (pb.DeadJobFilter(kind="other"), pb.DeadJobFilter(finished_after=later)):
            reply = await rpc.ReplayJobs(pb.ReplayJobsRequest(queue="event_jobs", filter=missed))
            assert reply.replayed_count == 0
            discarded = await rpc.DiscardJobs(pb.DiscardJobsRequest(queue="event_jobs", filter=missed))
            assert discarded.discarded_count == 0

        broken["on"] = False
        one = pb.DeadJobFilter(job_ids=[jobs[0].job_id])
        discarded = await rpc.DiscardJobs(pb.DiscardJobsRequest(queue="event_jobs", filter=one))
        assert (discarded.discarded_count, discarded.more) == (1, False)
        matching = pb.DeadJobFilter(error="provider said")
        assert (await rpc.ReplayJobs(pb.ReplayJobsRequest(queue="event_jobs", filter=matching))).replayed_count == 2
        await service.wait_until_idle()
        assert not (await rpc.ListJobs(pb.ListJobsRequest(queue="event_jobs"))).jobs
        wrong = pb.ListJobsRequest(queue="notifications")
        await assert_refused(rpc.ListJobs(wrong), "QUEUE_NOT_FOUND")


async def test_a_paused_channel_sends_nothing_and_loses_nothing(start: Start) -> None:
    async with start() as service:
        rpc = queue_service_pb2_grpc.QueueServiceStub(service.running.channel)
        paused = await rpc.PauseQueue(pb.PauseQueueRequest(queue="email_jobs", reason="the provider is at fault"))
        assert (paused.pause_reason, paused.HasField("pause_time")) == ("the provider is at fault", True)
        await service.publish(events.confirmed(service.users.add(ids.new("usr"))))
        worker = service.worker("email_jobs")
        await until(lambda: service.rows("SELECT FROM email_jobs"), "the mail to be queued")
        assert await worker.once() == 0
        assert service.receiver.mails == []
        assert not (await rpc.ResumeQueue(pb.ResumeQueueRequest(queue="email_jobs"))).HasField("pause_time")
        await service.wait_until_idle()
        assert len(service.receiver.mails) == 1


async def test_another_services_certificate_opens_no_queue(start: Start) -> None:
    async with start() as service, service.harness.channel("notification", service.running.address, "user") as channel:
        rpc = queue_service_pb2_grpc.QueueServiceStub(channel)
        await assert_refused(rpc.ListQueues(pb.ListQueuesRequest()), "CALLER_NOT_ALLOWED")


@DIES
async def test_the_command_does_the_same_without_a_running_service(start: Start, commands: Host) -> None:
    build, _ = failing("no")
    async with start(build) as service:
        for queue in service.app._queues:
            queue._max_attempts = 1
        await service.publish(events.verified(service.users.add(ids.new("usr"))))
        await service.wait_until_idle()
        environment = {
            "WEFT_DATABASE_URL": service.harness.postgres_url,
            "WEFT_DATABASE_PREFIX": service.app.settings.database_prefix,
            "WEFT_DATA_KEYS": json.dumps({"k1": DATA_KEY}),
            "WEFT_TLS": "off",
            "WEFT_ENVIRONMENT": "development",
        }

        async def queues(*words: str) -> tuple[int, str]:
            done = await commands.run_async("notification", "queues", *words, env=environment)
            return done.returncode, done.stdout + done.stderr

        listed, refused, unknown, discarded = await asyncio.gather(
            queues("jobs", "event_jobs"), queues("discard", "event_jobs"), queues("list", "of"), queues("jobs", "nix")
        )
        assert listed[0] == 0
        assert json.loads(listed[1])["kind"] == "notify_badly"
        assert refused == (1, "weft-notification: say which jobs to discard, or --all.\n")
        assert unknown[0] == 2
        assert discarded[0] == 1
        assert "There is no queue nix; there are" in discarded[1]
        code, said = await queues("discard", "event_jobs", "--error", "no")
        assert code == 0
        assert "1 jobs of event_jobs" in said
        assert not await service.rows("SELECT FROM event_jobs WHERE state = 'dead'")
