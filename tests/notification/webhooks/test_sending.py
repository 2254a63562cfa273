"""Webhooks from an event to a receiver that does what receivers do."""

from datetime import timedelta

import pytest
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp
from standardwebhooks.webhooks import Webhook
from weft.api.v1 import mode_pb2
from weft.notification.v1 import event_service_pb2, webhook_service_pb2
from weft.notification.v1.partner_event_pb2 import PartnerEvent
from weft_client import webhooks

from chassis import ids
from chassis.storage.database import Query
from tests.harness import assert_refused
from tests.notification import sample_events as events
from tests.notification.conftest import Service
from tests.notification.webhooks.conftest import Serve
from tests.notification.webhooks.receiver import (
    Partner,
    Receiver,
    drop,
    endless,
    garbage,
    interim,
    later,
    outcomes,
    redirect,
    state,
)
from tests.servers import until

TEST, LIVE = mode_pb2.MODE_TEST, mode_pb2.MODE_LIVE


async def test_an_event_arrives_signed_as_the_standard_says_and_as_it_is_listed(
    sending: Service, hooks: Receiver, partner: Partner
) -> None:
    endpoint = await partner.create(hooks.url())
    thin = await partner.create(hooks.url("/thin"), payload="WEBHOOK_PAYLOAD_THIN")
    event = events.placed("usr_1", partner_id=partner.partner_id, mode=TEST)
    await sending.publish(event)
    (got,) = await hooks.wait_for(1)
    assert got.id == event.event_id
    assert got.headers["content-type"] == "application/json"
    assert Webhook(endpoint.secret).verify(got.body, got.headers) == got.event
    assert webhooks.verify(got.body, got.headers, endpoint.secret) == got.event
    request = event_service_pb2.GetEventRequest(event_id=event.event_id)
    logged = await partner.events.GetEvent(request, metadata=partner.metadata)
    assert json_format.Parse(got.body, PartnerEvent()) == logged
    assert got.event["data"] == {"orderId": event.aggregate_id, "total": {"amountMinor": "4200", "currency": "EUR"}}
    (sparse,) = await hooks.wait_for(1, "/thin")
    assert sparse.event == {key: value for key, value in got.event.items() if key != "data"}
    assert Webhook(thin.secret).verify(sparse.body, sparse.headers)
    (delivery,) = await partner.settled(endpoint.endpoint_id, 1)
    assert (state(delivery), outcomes(delivery), delivery.attempts[0].response_body) == (
        "SUCCEEDED", [(200, "UNSPECIFIED")], "thanks",
    )  # fmt: skip
    assert delivery.request_body.encode() == got.body


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((500, drop, garbage, 404, 200), [500, 0, 0, 404, 200]),
        ((later(0), 200), [503, 200]),
        ((endless,), [200]),
    ],
)
async def test_what_fails_is_retried_with_the_same_id_until_it_is_accepted(
    sending: Service, hooks: Receiver, partner: Partner, answers, expected
) -> None:
    hooks.answer("/hook", *answers)
    endpoint = await partner.create(hooks.url())
    event = events.placed("usr_1", partner_id=partner.partner_id, mode=TEST)
    await sending.publish(event)
    (delivery,) = await partner.settled(endpoint.endpoint_id, 1)
    assert (state(delivery), [code for code, _ in outcomes(delivery)]) == ("SUCCEEDED", expected)
    assert {got.id for got in hooks.got} == {event.event_id}
    assert [attempt.number for attempt in delivery.attempts] == list(range(1, len(expected) + 1))
    assert (await partner.get(endpoint.endpoint_id)).HasField("failing_since") is False
    assert all(
        len(attempt.response_body) <= 500 and "\x00" not in attempt.response_body for attempt in delivery.attempts
    )


@pytest.mark.parametrize("sending", [{"webhook_timeout": 0.5}], indirect=True)
async def test_a_redirect_is_not_followed_and_a_hanging_receiver_is_left(
    sending: Service, hooks: Receiver, partner: Partner
) -> None:
    hooks.answer("/hook", redirect(hooks.url("/elsewhere")), hooks.hang, interim, 200)
    endpoint = await partner.create(hooks.url())
    await sending.publish(events.placed("usr_1", partner_id=partner.partner_id, mode=TEST))
    (delivery,) = await partner.settled(endpoint.endpoint_id, 1)
    assert outcomes(delivery) == [(307, "REDIRECT"), (0, "TIMEOUT"), (0, "CONNECTION"), (200, "UNSPECIFIED")]
    assert hooks.at("/elsewhere") == []


async def test_ten_attempts_are_made_and_then_it_can_be_recovered(
    sending: Service, hooks: Receiver, partner: Partner
) -> None:
    hooks.answer("/hook", 400)
    endpoint = await partner.create(hooks.url())
    await sending.publish(events.placed("usr_1", partner_id=partner.partner_id, mode=TEST))
    (delivery,) = await partner.settled(endpoint.endpoint_id, 1)
    assert (state(delivery), delivery.attempt_count, len(hooks.got)) == ("FAILED", 10, 10)
    hooks.answer("/hook", 200)
    reply = await partner.recover(endpoint.endpoint_id, Timestamp(seconds=1))
    assert (reply.recovered_count, reply.more) == (1, False)
    (delivery,) = await partner.settled(endpoint.endpoint_id, 1)
    assert (state(delivery), delivery.attempt_count) == ("SUCCEEDED", 11)
    assert (await partner.recover(endpoint.endpoint_id, Timestamp(seconds=1))).recovered_count == 0


async def test_a_replay_keeps_the_id_and_signs_afresh_and_so_does_a_rotation_for_a_while(
    sending: Service, hooks: Receiver, partner: Partner
) -> None:
    endpoint = await partner.create(hooks.url())
    await sending.publish(events.placed("usr_1", partner_id=partner.partner_id, mode=TEST))
    (delivery,) = await partner.settled(endpoint.endpoint_id, 1)
    rotate = webhook_service_pb2.RotateSecretRequest(endpoint_id=endpoint.endpoint_id)
    rotated = await partner.webhooks.RotateSecret(rotate, metadata=partner.metadata)
    assert rotated.HasField("previous_secret_expire_time")
    await partner.replay(delivery)
    first, second = await hooks.wait_for(2)
    assert (first.id, first.body) == (second.id, second.body)
    assert second.headers["webhook-signature"].count("v1,") == 2
    for secret in (endpoint.secret, rotated.secret):
        assert Webhook(secret).verify(second.body, second.headers)
    rotate.end_previous = True
    last = await partner.webhooks.RotateSecret(rotate, metadata=partner.metadata)
    await partner.replay(delivery)
    third = (await hooks.wait_for(3))[2]
    assert Webhook(last.secret).verify(third.body, third.headers)
    for secret in (endpoint.secret, rotated.secret):
        with pytest.raises(webhooks.WebhookInvalid):
            webhooks.verify(third.body, third.headers, secret)


async def test_gone_disables_and_what_is_owed_meanwhile_can_be_recovered(
    sending: Service, hooks: Receiver, partner: Partner
) -> None:
    owner = sending.users.add(ids.new("usr"), locale="en")
    sending.users.owners[partner.partner_id] = [owner]
    hooks.answer("/hook", 410)
    endpoint = await partner.create(hooks.url("/hook"))
    await sending.publish(events.placed("usr_1", partner_id=partner.partner_id, mode=TEST))
    (delivery,) = await partner.settled(endpoint.endpoint_id, 1)
    assert (state(delivery), outcomes(delivery)) == ("FAILED", [(410, "STATUS")])
    disabled = await partner.get(endpoint.endpoint_id)
    assert (disabled.enabled, disabled.disable_reason) == (False, 2)
    await sending.publish(events.placed("usr_1", partner_id=partner.partner_id, mode=TEST))
    assert [state(each) for each in await partner.settled(endpoint.endpoint_id, 2)] == ["FAILED", "FAILED"]
    test = webhook_service_pb2.SendTestEventRequest(endpoint_id=endpoint.endpoint_id)
    call = partner.webhooks.SendTestEvent(test, metadata=partner.metadata)
    recovering = partner.recover(endpoint.endpoint_id, Timestamp(seconds=1))
    for refused in (call, partner.replay(delivery), recovering):
        await assert_refused(refused, "WEBHOOK_ENDPOINT_DISABLED", endpoint_id=endpoint.endpoint_id)

    async def told() -> bool:
        return len(sending.receiver.mails) == 1

    await until(told, "the owner to be told")
    assert "Webhooks to 127.0.0.1 have stopped" in str(sending.receiver.mails[0])
    hooks.answer("/hook", 200)
    assert (await partner.update(endpoint.endpoint_id, enabled=True)).disable_reason == 0
    assert (await partner.recover(endpoint.endpoint_id, Timestamp(seconds=1))).recovered_count == 2
    assert [state(each) for each in await partner.settled(endpoint.endpoint_id, 2)] == ["SUCCEEDED", "SUCCEEDED"]


async def test_five_days_of_failure_disable(serve: Serve, hooks: Receiver, clock) -> None:
    async with serve(clock=clock, webhook_time_scale=1.0) as service:
        partner = Partner(service.harness, service.running)
        hooks.answer("/hook", 404)
        endpoint = await partner.create(hooks.url())
        for days, enabled in ((0, True), (4.9, True), (0.2, False)):
            before = len(hooks.got)
            clock.advance(timedelta(days=days))
            await service.publish(events.placed("usr_1", partner_id=partner.partner_id, mode=TEST))
            await hooks.wait_for(before + 1)

            async def seen(expected: bool = enabled) -> bool:
                found = await partner.get(endpoint.endpoint_id)
                tried = sum(each.attempt_count for each in await partner.deliveries(endpoint.endpoint_id))
                return found.enabled is expected and found.HasField("failing_since") and tried == len(hooks.got)

            await until(seen, f"the endpoint to be {'enabled' if enabled else 'disabled'}")
        assert (await partner.get(endpoint.endpoint_id)).disable_reason == 3


async def test_partners_and_modes_get_what_is_theirs_and_filters_hold(sending: Service, hooks: Receiver) -> None:
    acme, zenith = (Partner(sending.harness, sending.running) for _ in range(2))
    live = Partner(sending.harness, sending.running, acme.partner_id, mode="LIVE")
    await acme.create(hooks.url("/acme"))
    await acme.create(hooks.url("/payments"), event_types=["payment.*"])
    await zenith.create(hooks.url("/zenith"), event_types=["order.placed", "user.*"])
    await live.create(hooks.url("/live"))
    mine, live_one = (events.placed("usr_1", partner_id=acme.partner_id, mode=mode) for mode in (TEST, LIVE))
    theirs = events.placed("usr_1", partner_id=zenith.partner_id, mode=TEST)
    unwanted = events.confirmed("usr_1", partner_id=zenith.partner_id, mode=TEST)
    inside = events.invited("usr_1", partner_id=acme.partner_id, mode=TEST)
    nobodys = events.placed("usr_1")
    await sending.publish(mine, live_one, theirs, unwanted, inside, nobodys)
    for path in ("/acme", "/zenith", "/live"):
        await hooks.wait_for(1, path)
    assert {(got.path, got.id) for got in hooks.got} == {
        ("/acme", mine.event_id), ("/zenith", theirs.event_id), ("/live", live_one.event_id),
    }  # fmt: skip
    await acme.has_listed([mine])
    await live.has_listed([live_one])
    await zenith.has_listed([theirs, unwanted])
    assert [event.type for event in (await zenith.listed(type="order.confirmed")).events] == ["order.confirmed"]


@pytest.mark.parametrize("sending", [{"webhook_timeout": 0.5}], indirect=True)
async def test_a_dead_endpoint_delays_nobody(sending: Service, hooks: Receiver) -> None:
    """By count: while hundreds of deliveries to endpoints that hang are owed, others are all made."""
    dead, healthy = (Partner(sending.harness, sending.running) for _ in range(2))
    for number in range(10):
        hooks.answer(f"/dead{number}", hooks.hang)
        await dead.create(hooks.url(f"/dead{number}"))
    await healthy.create(hooks.url("/healthy"))
    await sending.publish(*(events.placed("usr_1", partner_id=dead.partner_id, mode=TEST) for _ in range(50)))
    wanted = [events.placed("usr_1", partner_id=healthy.partner_id, mode=TEST) for _ in range(20)]
    for event in wanted:
        await sending.publish(event)
    await hooks.wait_for(20, "/healthy")
    waiting = await sending.rows("SELECT count(*) AS n FROM webhook_deliveries WHERE state = 'PENDING'")
    assert waiting[0].n > 400
    assert sorted(got.id for got in hooks.at("/healthy")) == sorted(event.event_id for event in wanted)
    # The breaker leaves the dead ones alone: far fewer requests than deliveries.
    assert len(hooks.got) < 400


async def test_a_rate_is_kept(serve: Serve, hooks: Receiver, clock) -> None:
    async with serve(clock=clock) as service:
        partner = Partner(service.harness, service.running)
        await partner.create(hooks.url(), max_requests_per_second=3)
        await service.publish(*(events.placed("usr_1", partner_id=partner.partner_id, mode=TEST) for _ in range(10)))
        for expected in (3, 6, 9, 10):
            await hooks.wait_for(expected)

            async def rests() -> bool:
                (lane,) = await service.rows("SELECT leased_until = '-infinity' AS free FROM webhook_lanes")
                return bool(lane.free)

            await until(rests, "the lane to rest")
            assert len(hooks.got) == expected
            clock.advance(timedelta(seconds=1))


async def test_a_worker_that_was_killed_between_sending_and_storing_sends_the_same_id_again(
    serve: Serve, hooks: Receiver
) -> None:
    async with serve() as service:
        partner = Partner(service.harness, service.running)
        endpoint = await partner.create(hooks.url())
        await service.publish(events.placed("usr_1", partner_id=partner.partner_id, mode=TEST))
        await partner.settled(endpoint.endpoint_id, 1)
        # As a kill leaves it: sent, nothing stored, and a lease that nobody renews.
        await service.app.database.run(Query("DELETE FROM webhook_attempts"))
        await service.app.database.run(
            Query("UPDATE webhook_deliveries SET state = 'PENDING', attempts = 0, tries = 0")
        )
        await service.app.database.run(
            Query("UPDATE webhook_lanes SET due = now(), leased_until = now() + interval '0.3 s', lease = lease + 1")
        )
        service.app._queues[0].notify()
        first, second = await hooks.wait_for(2)
        assert first.id == second.id
        (delivery,) = await partner.settled(endpoint.endpoint_id, 1)
        assert delivery.attempt_count == 1


async def test_a_test_event_is_sent_whatever_the_filters_say(
    sending: Service, hooks: Receiver, partner: Partner
) -> None:
    endpoint = await partner.create(hooks.url(), event_types=["payment.failed"])
    request = webhook_service_pb2.SendTestEventRequest(endpoint_id=endpoint.endpoint_id)
    sent = await partner.webhooks.SendTestEvent(request, metadata=partner.metadata)
    (got,) = await hooks.wait_for(1)
    assert (got.event["type"], got.id, sent.request_body.encode()) == ("webhook.test", sent.event_id, got.body)
