"""Push messages: from a registration to a message that the device opens, and what push services do."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from py_vapid import Vapid02  # type: ignore[import-untyped] # has no types
from weft.api.v1.event_pb2 import Event
from weft.api.v1.mode_pb2 import MODE_TEST
from weft.notification.v1 import notification_service_pb2 as notification_pb
from weft.notification.v1 import (
    preference_service_pb2_grpc,
)
from weft.notification.v1.category_pb2 import CATEGORY_ORDERS, CHANNEL_EMAIL, CHANNEL_PUSH
from weft.notification.v1.notification_pb2 import Content, Recipient
from weft.notification.v1.preference_service_pb2 import UpdatePreferencesRequest
from weft.notification.v1.preferences_pb2 import Muted, Preferences
from weft.order.v1.events_pb2 import PaymentRefunded

from deploy.local.components import push_sink
from services.notification.channels.push.subscriptions import decode
from tests.harness import assert_refused
from tests.notification import sample_events as events
from tests.notification.conftest import Start
from tests.notification.devices.push_service import KEY, PushService, parts, person, send
from tests.notification.requests.calls import ACME, Caller, customer
from tests.notification.smtp import until


async def test_a_message_is_opened_by_each_device_and_nothing_of_it_is_stored_in_the_clear(
    start: Start, pushes: PushService
) -> None:
    async with start(**pushes.settings) as service:
        ann, first, second = person(service), await pushes.subscription(), await pushes.subscription()
        device, _ = await ann.register(first), await ann.register(second)
        assert (await ann.register(first)).device_id == device.device_id
        sent = await send(service, ann)
        assert await parts(service, sent) == [("SENT", "")]
        (delivery,) = await Caller(service, partner="").deliveries(sent)
        expected = {"deliveryId": delivery.delivery_id, "title": "Your parcel", "body": "It waits."}
        assert pushes.contents() == [expected, expected]
        kept = push_sink.messages(pushes.folder)
        assert {found["endpoint"] for found in kept} == {first["endpoint"], second["endpoint"]}
        assert {(found["topic"], found["ttl_s"]) for found in kept} == {(delivery.delivery_id, 86_400)}
        (attempt,) = delivery.attempts
        assert (attempt.provider, attempt.response_status, attempt.response) == ("webpush", 201, "201, 201")
        everything = str([await service.rows(f"SELECT t::text FROM {t} t") for t in service.app.metadata.tables])
        for secret in (first["endpoint"], first["p256dh"], first["auth"], "It waits."):
            assert secret not in everything
        key = (await ann.key()).public_key
        assert Vapid02.from_string(KEY).public_key == EllipticCurvePublicKey.from_encoded_point(
            SECP256R1(), decode(key)
        )


def about(event: Event) -> str:
    payload = PaymentRefunded()
    event.payload.Unpack(payload)
    return payload.order_id


async def test_events_are_pushed_to_who_has_a_device_and_wants_it(start: Start, pushes: PushService) -> None:
    async with start(**pushes.settings) as service:
        ann, bob = person(service, locale="de"), person(service)
        await ann.register(await pushes.subscription())
        order, refund, asked = events.expired(ann.user_id), events.refunded(ann.user_id), events.placed(ann.user_id)
        await service.publish(order, refund, asked, events.expired(bob.user_id))
        await service.publish(order)
        await service.wait_until_idle()
        made = "SELECT n.event_id, d.state, d.reason FROM deliveries d JOIN notifications n USING (notification_id) WHERE channel = 'PUSH'"
        assert {tuple(row) for row in await service.rows(made)} == {
            (order.event_id, "SENT", ""),
            (refund.event_id, "SENT", ""),
        }
        assert {each["type"]: (each["subjectId"], each["title"]) for each in pushes.contents()} == {
            "order.expired": (order.aggregate_id, "Bestellung verfallen"),
            "payment.refunded": (about(refund), "Erstattung"),
        }
        muted = Preferences(user_id="me", muted=[Muted(category=CATEGORY_ORDERS, channel=CHANNEL_PUSH)])
        rpc: Any = preference_service_pb2_grpc.PreferenceServiceStub(service.running.channel)
        await rpc.UpdatePreferences(UpdatePreferencesRequest(preferences=muted), metadata=ann.metadata)
        sent = len(pushes.calls)
        unwanted, test = events.expired(ann.user_id), events.expired(ann.user_id, mode=MODE_TEST, partner_id=ACME)
        await service.publish(unwanted, test)
        await service.wait_until_idle()
        assert {tuple(row) for row in await service.rows(made)} >= {
            (unwanted.event_id, "SKIPPED", "PREFERENCE"),
            (test.event_id, "SKIPPED", "TEST_MODE"),
        }
        assert len(pushes.calls) == sent
        partner = Caller(service, mode="TEST")
        reply = await partner.rpc.ListCaptured(notification_pb.ListCapturedRequest(), metadata=partner.metadata)
        assert {(each.channel, each.content.subject) for each in reply.messages} >= {
            (CHANNEL_PUSH, "Bestellung verfallen")
        }


@pytest.mark.logs_errors("job_dead")
async def test_what_push_services_answer(start: Start, pushes: PushService, clock: Any) -> None:
    async with start(clock=clock, **pushes.settings) as service:
        ann, gone, kept = person(service), await pushes.subscription(), await pushes.subscription()
        await ann.register(gone)
        await ann.register(kept)
        for status in (404, 410):  # that subscription only
            pushes.answers = {gone["endpoint"].removeprefix(pushes.url): status}
            await ann.register(gone)
            assert await parts(service, await send(service, ann)) == [("SENT", "")]
            assert len(await service.rows("SELECT * FROM devices")) == 1
        for status in (302, 400, 403, 413):
            pushes.answers = {"*": status}
            calls = len(pushes.calls)
            sent = await send(service, ann)
            assert (await parts(service, sent), len(pushes.calls) - calls) == ([("FAILED", "REFUSED")], 1)
        pushes.answers = {"*": 503}
        sent = await send(service, ann)
        assert await parts(service, sent) == [("QUEUED", "")]
        pushes.answers = {}
        clock.advance(events.MAX_BACKOFF)
        await service.wait_until_idle()
        assert await parts(service, sent) == [("SENT", "")]
        pushes.answers = {"*": 410}  # the last device: the next channel, and from then on no device
        content = Content(subject="Your parcel", text="It waits.")
        sent = await send(service, ann, channels=(CHANNEL_PUSH, CHANNEL_EMAIL), content=content)
        await service.wait_until_idle()
        assert await parts(service, sent) == [("FAILED", "ADDRESS_UNUSABLE"), ("SENT", "")]
        assert await parts(service, await send(service, ann)) == [("SKIPPED", "NO_ADDRESS")]
        assert await service.rows("SELECT * FROM suppressions") == []


async def test_a_device_that_hangs_holds_up_no_other_person(start: Start, pushes: PushService) -> None:
    async with start(work=False, **{**pushes.settings, "webhook_timeout": 10.0}) as service:
        people = [person(service) for _ in range(3)]
        subscriptions = [await pushes.subscription() for _ in people]
        for each, subscription in zip(people, subscriptions, strict=True):
            await each.register(subscription)
        answer = pushes.hanging[urlsplit(subscriptions[0]["endpoint"]).path] = asyncio.Event()
        to = [Recipient(user_id=each.user_id) for each in people]
        sent = (await Caller(service, partner="").send(*to, channels=(CHANNEL_PUSH,))).notifications
        await service.worker("dispatch_jobs").once()
        worker = service.worker("push_jobs")
        assert await worker.once() == 3
        states = [(await parts(service, each.notification_id))[0] for each in sent]
        assert states == [("SENDING", ""), ("SENT", ""), ("SENT", "")]
        assert [row.state for row in await service.rows("SELECT state FROM push_jobs")] == ["ready"]
        answer.set()
        await until(lambda: not worker._late)
        assert await parts(service, sent[0].notification_id) == [("SENT", "")]


async def test_in_test_it_is_captured_and_without_a_key_it_is_skipped(start: Start, pushes: PushService) -> None:
    async with start(**{**pushes.settings, "vapid_key": ""}) as service:
        ann = person(service)
        await ann.register(await pushes.subscription())
        await assert_refused(ann.key(), "PUSH_NOT_CONFIGURED")
        assert await parts(service, await send(service, ann)) == [("SKIPPED", "NOT_CONFIGURED")]
        partner = Caller(service, mode="TEST")
        await partner.send(customer(service, mode="TEST"), channels=(CHANNEL_PUSH,))
        await service.wait_until_idle()
        (captured,) = (
            await partner.rpc.ListCaptured(notification_pb.ListCapturedRequest(), metadata=partner.metadata)
        ).messages
        assert (captured.channel, captured.content.subject) == (CHANNEL_PUSH, "Your parcel")
        assert pushes.calls == []
