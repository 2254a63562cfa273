"""Push messages: from a registration to a message that the device opens; what push services do; whose devices they are."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, encode_basic_auth, web
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from py_vapid import Vapid02  # type: ignore[import-untyped] # has no types
from weft.api.v1.event_pb2 import Event
from weft.api.v1.mode_pb2 import MODE_TEST
from weft.notification.v1 import device_service_pb2 as pb
from weft.notification.v1 import (
    device_service_pb2_grpc,
    personal_data_service_pb2,
    personal_data_service_pb2_grpc,
    preference_service_pb2_grpc,
)
from weft.notification.v1 import notification_service_pb2 as notification_pb
from weft.notification.v1.category_pb2 import CATEGORY_ORDERS, CHANNEL_EMAIL, CHANNEL_PUSH
from weft.notification.v1.notification_pb2 import Content, Recipient
from weft.notification.v1.preference_service_pb2 import UpdatePreferencesRequest
from weft.notification.v1.preferences_pb2 import Muted, Preferences
from weft.order.v1.events_pb2 import PaymentRefunded

from chassis import ids
from chassis.settings import SettingsError
from deploy.local.components import push_sink
from services.notification.channels.outcome import Outcome
from services.notification.channels.push.subscriptions import Device, Subscription, decode
from services.notification.channels.push.web_push import Push, WebPush, classify
from services.notification.channels.webhook.addresses import Guard
from services.notification.channels.webhook.answer import Answer
from services.notification.channels.webhook.names import Names
from services.notification.channels.webhook.sender import Sender
from services.notification.deliveries.pushes import to_payload
from services.notification.devices.domain import MAX_DEVICES
from tests.harness import assert_refused
from tests.notification import sample_events as events
from tests.notification.conftest import Service, Start
from tests.notification.requests.test_sending import ACME, Caller, customer
from tests.notification.smtp import until

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
SCOPES = "users.read users.write inbox.read"
PASSWORD = "a-password"


@dataclass
class PushService:
    """The mesh's sink, with answers of its own in front of it, by the path of an endpoint or for all."""

    folder: Path
    url: str = ""
    answers: dict[str, int] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    hanging: dict[str, asyncio.Event] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        return {"vapid_key": KEY, "webhook_allowed": [self.url.removeprefix("http://")], "webhook_timeout": 1.0}

    async def subscription(self) -> dict[str, str]:
        async with ClientSession(headers={"authorization": encode_basic_auth("weft", PASSWORD)}) as session:
            reply = await session.post(f"{self.url}/subscriptions")
            return dict(await reply.json())

    def contents(self) -> list[dict[str, str]]:
        return [json.loads(found["content"]) for found in push_sink.messages(self.folder)]


@pytest.fixture
async def pushes(tmp_path: Path) -> AsyncIterator[PushService]:
    made = PushService(tmp_path)
    app = push_sink.Sink(tmp_path, PASSWORD).app()

    @web.middleware
    async def misbehave(request: web.Request, handler: push_sink.Handler) -> web.StreamResponse:
        if not request.path.startswith("/push/"):
            return await handler(request)
        made.calls.append(request.path)
        if request.path in made.hanging:
            await made.hanging[request.path].wait()
        status = made.answers.get(request.path, made.answers.get("*", 0))
        return web.Response(status=status, headers={"location": made.url}) if status else await handler(request)

    app.middlewares.insert(0, misbehave)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


class Person:
    """A signed-in user with the RPCs of devices."""

    def __init__(self, service: Service, user_id: str) -> None:
        self.user_id = user_id
        self.metadata = [("authorization", service.harness.issuer.user(user_id, SCOPES))]
        self._rpc: Any = device_service_pb2_grpc.DeviceServiceStub(service.running.channel)

    def register(self, subscription: dict[str, str], user_id: str = "me") -> Any:
        return self._rpc.RegisterDevice(
            pb.RegisterDeviceRequest(user_id=user_id, **subscription), metadata=self.metadata
        )

    def key(self) -> Any:
        return self._rpc.GetPushKey(pb.GetPushKeyRequest(), metadata=self.metadata)

    def remove(self, device_id: str, user_id: str = "me") -> Any:
        request = pb.RemoveDeviceRequest(user_id=user_id, device_id=device_id)
        return self._rpc.RemoveDevice(request, metadata=self.metadata)


async def send(service: Service, person: Person, **more: Any) -> str:
    """The id of what an operator has sent them, once it is done."""
    more = {"channels": (CHANNEL_PUSH,), **more}
    reply = await Caller(service, partner="").send(Recipient(user_id=person.user_id), **more)
    await service.wait_until_idle()
    return str(reply.notifications[0].notification_id)


async def parts(service: Service, notification_id: str) -> list[tuple[str, str]]:
    return await Caller(service, partner="").parts(notification_id)


def person(service: Service, **fields: Any) -> Person:
    return Person(service, service.users.add(ids.new("usr"), **fields))


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
        assert [row.state for row in await service.rows("SELECT state FROM push_jobs ORDER BY id")] == [
            "ready",
            "done",
            "done",
        ]
        answer.set()
        await until(lambda: not worker._late)
        assert await parts(service, sent[0].notification_id) == [("SENT", "")]


async def test_devices_are_their_persons_and_ten_at_most(start: Start, pushes: PushService) -> None:
    async with start(**pushes.settings) as service:
        ann, bob, browser = person(service), person(service), await pushes.subscription()
        device = await ann.register(browser)
        await assert_refused(bob.register(browser, ann.user_id), "RECIPIENT_NOT_FOUND", user_id=ann.user_id)
        for user_id in ("me", ann.user_id):
            refusal = bob.remove(device.device_id, user_id)
            await assert_refused(refusal, "DEVICE_NOT_FOUND", device_id=device.device_id)
        assert (await bob.register(browser)).device_id == device.device_id  # who uses the browser now
        assert await parts(service, await send(service, ann)) == [("SKIPPED", "NO_ADDRESS")]
        await bob.remove(device.device_id)
        await assert_refused(bob.remove(device.device_id), "DEVICE_NOT_FOUND", device_id=device.device_id)
        made = [(await ann.register(await pushes.subscription())).device_id for _ in range(MAX_DEVICES + 2)]
        kept = [row.device_id for row in await service.rows("SELECT device_id FROM devices ORDER BY updated_at")]
        assert kept == made[2:]
        wrong: tuple[tuple[str, str], ...] = (
            ("endpoint", "http://push.example/1"),
            ("endpoint", "https://10.0.0.1/1"),
            ("endpoint", "https://[::ffff:127.0.0.1]/1"),
            ("endpoint", "https://169.254.169.254/latest"),
            ("p256dh", "B" + "A" * 86),
            ("auth", "AAAA"),
        )
        for name, value in wrong:
            await assert_refused(
                ann.register({**browser, name: value}), "REQUEST_INVALID", violations={name: "must be"}
            )


async def test_devices_are_exported_and_erased_with_their_person(start: Start, pushes: PushService) -> None:
    async with start(**pushes.settings) as service:
        ann, browser = person(service), await pushes.subscription()
        devices = [(await ann.register(each)).device_id for each in (browser, await pushes.subscription())]
        chosen = Preferences(user_id="me", muted=[Muted(category=CATEGORY_ORDERS, channel=CHANNEL_PUSH)])
        stub: Any = preference_service_pb2_grpc.PreferenceServiceStub(service.running.channel)
        await stub.UpdatePreferences(UpdatePreferencesRequest(preferences=chosen), metadata=ann.metadata)
        sent, found, after = await send(service, ann), [], ""
        rpc: Any = personal_data_service_pb2_grpc.PersonalDataServiceStub(service.running.channel)
        more = True
        while more:
            request = personal_data_service_pb2.ReadPersonalDataRequest(user_id=ann.user_id, after=after, limit=1)
            reply = await rpc.ReadPersonalData(request)
            found += [(each.type, each.record_id) for each in reply.records]
            after, more = reply.records[-1].record_id, reply.more
        assert found == [
            ("device", devices[0]),
            ("device", devices[1]),
            ("notification", sent),
            ("preferences", ann.user_id),
        ]
        assert reply.records[-1].data["muted"][0]["channel"] == "CHANNEL_PUSH"
        await rpc.ErasePersonalData(personal_data_service_pb2.ErasePersonalDataRequest(user_id=ann.user_id))
        assert await service.rows("SELECT * FROM devices") == []
        await assert_refused(ann.register(browser), "RECIPIENT_NOT_FOUND", user_id="me")


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


async def test_an_address_that_is_not_public_is_not_connected_to(clock: Any, pushes: PushService) -> None:
    """Whatever was registered: the check is made at the connection."""
    forgotten: list[Device] = []

    async def forget(device: Device) -> None:
        forgotten.append(device)

    names = Names()
    sender = Sender(Guard(()), names, 1.0)
    carrier = WebPush(sender, KEY, "a@weft.local", forget, clock)
    device = Device("dev_1", Subscription(**await pushes.subscription()), clock.now(), clock.now())
    response = await carrier.send(Push("usr_1", "dlv_1", b"{}", 60, [device]))
    assert (response.outcome, response.text, pushes.calls) == (Outcome.REFUSED, "ADDRESS_REFUSED", [])
    running = asyncio.create_task(sender.run())
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_host_that_fails_holds_up_no_other(clock: Any, pushes: PushService) -> None:
    async def forget(_: Device) -> None: ...

    sender = Sender(Guard(["127.0.0.1"]), Names(), 1.0)
    running = asyncio.create_task(sender.run())
    carrier = WebPush(sender, KEY, "a@weft.local", forget, clock)
    keys = await pushes.subscription()
    dead = Device("dev_1", Subscription(**{**keys, "endpoint": "http://127.0.0.1:9/push"}), clock.now(), clock.now())
    alive = Device("dev_2", Subscription(**keys), clock.now(), clock.now())
    texts = [(await carrier.send(Push("usr_1", "dlv_1", b"{}", 60, [dead, alive]))).text for _ in range(6)]
    assert texts == ["CONNECTION, 201"] * 5 + ["circuit breaker open, 201"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(201, "", 1), Outcome.ACCEPTED),
        (Answer(404, "STATUS", 1), Outcome.UNREACHABLE),
        (Answer(410, "STATUS", 1), Outcome.UNREACHABLE),
        (Answer(301, "REDIRECT", 1), Outcome.REFUSED),
        (Answer(403, "STATUS", 1), Outcome.REFUSED),
        (Answer(429, "STATUS", 1), Outcome.DEFERRED),
        (Answer(500, "STATUS", 1), Outcome.DEFERRED),
        (Answer(0, "NAME", 1), Outcome.DEFERRED),
        (Answer(0, "CONNECTION", 1), Outcome.DEFERRED),
        (Answer(0, "TIMEOUT", 1), Outcome.LOST),
        (Answer(0, "ADDRESS_REFUSED", 1), Outcome.REFUSED),
    ],
)
def test_what_an_answer_means(answer: Answer, outcome: Outcome) -> None:
    assert classify(answer).outcome is outcome


@pytest.mark.parametrize("title", ["😀" * 200, "x" * 60_000, "\0" * 5000])
@pytest.mark.parametrize("body", ["x", "é" * 4000, "\0" * 4000, '"' * 4000, "😀" * 4000])
def test_a_long_message_is_cut_to_what_push_services_take(title: str, body: str) -> None:
    payload = to_payload({"deliveryId": ids.new("dlv")}, title, body)
    assert len(payload) <= 3_993
    said = json.loads(payload)["body"]
    assert body.startswith(said.removesuffix("…"))
    assert said == body or len(payload) > 3_900


def test_a_wrong_key_is_named(clock: Any) -> None:
    for key in ("word", "A" * 43, "-----BEGIN"):
        with pytest.raises(SettingsError, match="WEFT_VAPID_KEY"):
            WebPush(Sender(Guard(()), Names(), 1.0), key, "a@weft.local", lambda _: asyncio.sleep(0), clock)
