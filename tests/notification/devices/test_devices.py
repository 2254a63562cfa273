"""Devices are registered, removed, exported and erased with their person."""

from typing import Any

from weft.notification.v1 import (
    personal_data_service_pb2,
    personal_data_service_pb2_grpc,
    preference_service_pb2_grpc,
)
from weft.notification.v1.category_pb2 import CATEGORY_ORDERS, CHANNEL_PUSH
from weft.notification.v1.preference_service_pb2 import UpdatePreferencesRequest
from weft.notification.v1.preferences_pb2 import Muted, Preferences

from services.notification.devices.domain import MAX_DEVICES
from tests.harness import assert_refused
from tests.notification.conftest import Start
from tests.notification.devices.push_service import PushService, parts, person, send


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
