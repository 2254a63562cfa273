"""A push service of the tests, and the devices of people."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, encode_basic_auth
from weft.notification.v1 import device_service_pb2 as pb
from weft.notification.v1 import (
    device_service_pb2_grpc,
)
from weft.notification.v1.category_pb2 import CHANNEL_PUSH
from weft.notification.v1.notification_pb2 import Recipient

from chassis import ids
from deploy.local.components import push_sink
from tests.notification.conftest import Service
from tests.notification.requests.calls import Caller

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
