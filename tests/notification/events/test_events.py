"""PublishEvents: internal, and once by event id however often and from wherever a batch comes."""

import asyncio

import pytest
from google.protobuf.empty_pb2 import Empty
from weft.api.v1.mode_pb2 import MODE_LIVE, MODE_TEST
from weft.notification.v1 import event_service_pb2, event_service_pb2_grpc, inbox_service_pb2
from weft.order.v1 import events_pb2 as orders

from chassis import ids
from services.notification.__main__ import build
from services.notification.observers import OBSERVERS
from tests.harness import assert_refused
from tests.notification import sample_events as events
from tests.notification.conftest import Service

ANN = ids.new("usr")


async def test_a_batch_takes_effect_once(service: Service) -> None:
    service.users.add(ANN)
    batch = [events.placed(ANN, "ord_1"), events.confirmed(ANN, "ord_1")]
    assert await service.publish(*batch) == 2
    assert await service.publish(*batch) == 0
    assert await service.publish(*batch, events.placed(ANN, "ord_2")) == 1
    await service.wait_until_idle()
    rows = await service.rows("SELECT type, subject_id FROM notifications ORDER BY notification_id")
    assert [tuple(row) for row in rows] == [
        ("order.placed", "ord_1"),
        ("order.confirmed", "ord_1"),
        ("order.placed", "ord_2"),
    ]
    assert len(service.receiver.mails) == 1


async def test_what_happens_in_test_is_kept_and_not_sent(service: Service) -> None:
    service.users.add(ANN)
    in_test = events.confirmed(ANN)
    in_test.mode, in_test.partner_id = MODE_TEST, "prt_1"
    live = events.confirmed(ANN)
    live.mode = MODE_LIVE
    assert await service.publish(in_test, live, events.confirmed(ANN)) == 3  # the third is of a release before modes
    await service.wait_until_idle()
    assert len(service.receiver.mails) == 2
    rows = await service.rows(
        "SELECT n.partner_id, n.mode, d.state, d.reason FROM notifications n JOIN deliveries d USING (notification_id) "
        "ORDER BY n.mode"
    )
    assert [tuple(row) for row in rows] == [
        *[("", "LIVE", "SENT", "")] * 2,
        ("prt_1", "TEST", "SKIPPED", "TEST_MODE"),
    ]
    reply = await service.inbox.ListInbox(inbox_service_pb2.ListInboxRequest(), metadata=service.as_user(ANN))
    assert len(reply.items) == 2


async def test_an_event_that_is_twice_in_a_batch_is_one(service: Service) -> None:
    event = events.placed(ANN)
    assert await service.publish(event, event) == 1


async def test_a_batch_that_comes_many_times_concurrently_in_any_order_takes_effect_once(service: Service) -> None:
    service.users.add(ANN)
    batch = [events.confirmed(ANN) for _ in range(20)]
    counts = await asyncio.gather(*(service.publish(*(batch[n:] + batch[:n])) for n in range(8)))
    assert sum(counts) == 20
    await service.wait_until_idle()
    assert len(await service.rows("SELECT 1 FROM notifications")) == 20
    assert sorted(service.receiver.ids) == sorted(set(service.receiver.ids))
    assert len(service.receiver.ids) == 20


async def test_two_replicas_share_the_work_and_do_it_once(service: Service, start) -> None:
    service.users.add(ANN)
    prefix = service.app.settings.database_prefix
    async with start(prefix=prefix) as twin:
        batch = [events.confirmed(ANN) for _ in range(30)]
        counts = await asyncio.gather(service.publish(*batch), twin.publish(*reversed(batch)))
        assert sum(counts) == 30
        await service.wait_until_idle()
    assert sorted(service.receiver.ids) == sorted(set(service.receiver.ids))
    assert await service.states() == [("SENT", "")] * 30


async def test_an_event_that_nobody_observes_has_no_effect(service: Service) -> None:
    event = events.made("moon.landed", Empty(), user_id=ANN, aggregate_id="moon")
    assert await service.publish(event) == 1
    assert await service.publish(event) == 0
    assert await service.rows("SELECT 1 FROM event_jobs") == []


async def test_an_observer_that_fails_is_retried_alone(start, clock) -> None:
    observers = OBSERVERS.copy()
    attempts = []

    @observers.observes("order.placed", orders.OrderPlaced)
    def stumble_once(event, payload):
        attempts.append(event.event_id)
        if len(attempts) == 1:
            raise RuntimeError("a bad day")
        return

    async def wired(app):
        await build(app, observers)

    async with start(wired, clock) as service:
        await service.publish(events.placed(ANN, "ord_1", occurred=clock.now()))
        await service.wait_until_idle()
        assert [row.type for row in await service.rows("SELECT type FROM notifications")] == ["order.placed"]
        waiting = await service.rows("SELECT kind, state, attempts, error FROM event_jobs ORDER BY kind")
        assert [tuple(row) for row in waiting] == [
            ("stumble_once", "ready", 0, "RuntimeError('a bad day')"),
        ]
        clock.advance(events.MAX_BACKOFF)
        await service.wait_until_idle()
        assert len(attempts) == 2
        states = await service.rows("SELECT state FROM event_jobs")
        assert {row.state for row in states} == {"done"}
        assert len(await service.rows("SELECT 1 FROM notifications")) == 1


async def test_a_notification_that_the_database_rejects_does_not_hold_up_the_others(service: Service) -> None:
    bad = events.made("order.expired", orders.OrderExpired(order_id="ord_\x00"), user_id=ANN, aggregate_id="ord_0")
    good = [events.placed(ANN, f"ord_{n}") for n in range(3)]
    assert await service.publish(good[0], bad, *good[1:]) == 4

    async def retried() -> bool:
        failed = await service.rows("SELECT kind FROM event_jobs WHERE error = 'DataError'")
        return [row.kind for row in failed] == ["notify_order_expired"]

    await events.until(retried)
    assert len(await service.rows("SELECT 1 FROM notifications")) == 3


async def test_an_observer_that_comes_twice_to_an_event_notifies_once(service: Service) -> None:
    service.users.add(ANN)
    event = events.confirmed(ANN)
    await service.publish(event)
    await service.wait_until_idle()
    (queue,) = [queue for queue in service.app._queues if queue.name == "event_jobs"]
    async with service.app.database.transaction() as tx:  # as the release before puts it
        await queue.put(tx, kind="notify_order_confirmed", payload=event.SerializeToString())
    await service.wait_until_idle()
    assert not await service.rows("SELECT 1 FROM event_jobs"), "what is done keeps nothing"
    assert len(await service.rows("SELECT 1 FROM notifications")) == 1
    assert len(service.receiver.mails) == 1


async def test_notifications_are_in_the_order_of_events_even_when_events_arrive_in_another(service: Service) -> None:
    service.users.add(ANN)
    now = service.app.clock.now()
    placed = events.placed(ANN, "ord_1", occurred=now, sequence=1)
    confirmed = events.confirmed(ANN, "ord_1", occurred=now, sequence=2)
    late = events.placed(ANN, "ord_0", occurred=now - events.MAX_BACKOFF)
    await service.publish(confirmed, placed)
    await service.wait_until_idle()
    await service.publish(late)
    await service.wait_until_idle()
    rows = await service.rows("SELECT type, subject_id FROM notifications ORDER BY notification_id")
    assert [tuple(row) for row in rows] == [
        ("order.placed", "ord_0"),
        ("order.placed", "ord_1"),
        ("order.confirmed", "ord_1"),
    ]


async def test_only_services_may_publish(service: Service) -> None:
    request = event_service_pb2.PublishEventsRequest(events=[events.placed(ANN)])
    outside = service.harness.channel("notification", service.running.address, identity="edge")
    stub = event_service_pb2_grpc.EventServiceStub(outside)
    for metadata in (
        [],
        service.as_user(ANN),
        [("authorization", service.harness.issuer.operator(ANN, "users.admin"))],
    ):
        await assert_refused(stub.PublishEvents(request, metadata=metadata), "CALLER_NOT_ALLOWED")
    await outside.close()
    assert await service.rows("SELECT 1 FROM seen") == []


@pytest.mark.parametrize("count", [0, 251])
async def test_a_batch_has_1_to_250_events(service: Service, count: int) -> None:
    request = event_service_pb2.PublishEventsRequest(events=[events.placed(ANN)] * count)
    await assert_refused(service.events.PublishEvents(request), "REQUEST_INVALID", violations={"events": "item"})
