"""Webhooks of a suspended partner wait, and are sent when it is reinstated."""

from typing import Any

from weft.api.v1 import mode_pb2, queue_pb2
from weft.api.v1.event_pb2 import Event
from weft.notification.v1 import queue_service_pb2_grpc
from weft.user.v1.partner_events_pb2 import PartnerReinstated, PartnerSuspended

from tests.harness import assert_refused
from tests.notification import sample_events as events
from tests.notification.conftest import Service
from tests.notification.webhooks.receiver import Partner, Receiver, outcomes, state
from tests.servers import until


def of(partner: Partner, sequence: int, *, suspended: bool) -> Event:
    kind, payload = ("suspended", PartnerSuspended) if suspended else ("reinstated", PartnerReinstated)
    said = payload(partner_id=partner.partner_id)
    about = {"user_id": "", "aggregate_id": partner.partner_id, "partner_id": partner.partner_id}
    return events.made(f"partner.{kind}", said, sequence=sequence, **about)


async def test_what_is_owed_to_a_suspended_partner_waits_and_is_not_lost(
    sending: Service, hooks: Receiver, partner: Partner
) -> None:
    other = Partner(sending.harness, sending.running)
    live = Partner(sending.harness, sending.running, partner.partner_id, "LIVE")
    endpoints = [await each.create(hooks.url(path)) for each, path in ((partner, "/a"), (other, "/b"), (live, "/c"))]

    def order(whose: Partner) -> Event:
        return events.placed("usr_1", partner_id=whose.partner_id, mode=mode_pb2.Mode.Value(f"MODE_{whose.mode}"))

    async def resting() -> bool:
        rows = await sending.rows("SELECT 1 FROM webhook_lanes WHERE due = 'infinity' AND leased_until = '-infinity'")
        return len(rows) == 3

    # An older event that comes later, in the same call or another, changes nothing.
    await sending.publish(of(partner, 4, suspended=True), of(partner, 3, suspended=False))
    await sending.publish(of(partner, 2, suspended=False))
    await sending.rows("UPDATE webhook_lanes SET failures = 3, failing_since = now() - interval '6 days' RETURNING 1")
    await sending.publish(*(order(each) for each in (partner, other, live)))
    await sending.publish(order(partner))
    await hooks.wait_for(1, "/b")
    await until(resting, "every lane to rest")
    assert (hooks.at("/a"), hooks.at("/c")) == ([], [])
    owed = await partner.deliveries(endpoints[0].endpoint_id)
    assert [(state(each), outcomes(each)) for each in owed] == [("PENDING", [])] * 2

    hooks.answer("/a", 500, 200)
    await sending.publish(of(partner, 5, suspended=False))
    await hooks.wait_for(1, "/c")
    sent = await partner.settled(endpoints[0].endpoint_id, 2)
    assert [state(each) for each in sent] == ["SUCCEEDED", "SUCCEEDED"]
    assert sum(len(outcomes(each)) for each in sent) == 3, (
        "one that has failed once is retried, and does not disable it"
    )
    await sending.publish(of(partner, 4, suspended=True), order(partner))
    await partner.settled(endpoints[0].endpoint_id, 3)
    assert len(hooks.at("/b")) == 1

    # Operators pause all of them, as they pause a queue: it has no jobs, as what has failed is the partners' to send again.
    queues: Any = queue_service_pb2_grpc.QueueServiceStub(sending.running.channel)
    await queues.PauseQueue(queue_pb2.PauseQueueRequest(queue="webhook_lanes", reason="our network"))
    await sending.publish(order(other))

    async def waiting() -> bool:
        found = {each.queue: each for each in (await queues.ListQueues(queue_pb2.ListQueuesRequest())).queues}
        lanes = found["webhook_lanes"]
        assert (lanes.pause_reason, lanes.dead_count) == ("our network", 0)
        return lanes.ready_count == 1 and lanes.HasField("oldest_due_time")

    await until(waiting, "the lane to wait")
    assert [state(each) for each in await other.deliveries(endpoints[1].endpoint_id)] == ["PENDING", "SUCCEEDED"]
    await assert_refused(queues.ListJobs(queue_pb2.ListJobsRequest(queue="webhook_lanes")), "QUEUE_NOT_FOUND")
    await queues.ResumeQueue(queue_pb2.ResumeQueueRequest(queue="webhook_lanes"))
    await other.settled(endpoints[1].endpoint_id, 2)
    assert len(hooks.at("/b")) == 2
