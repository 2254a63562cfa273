"""Calls of providers that tell what became of a delivery, as tests make them."""

import itertools
from collections.abc import Mapping
from typing import Any

from google.api.httpbody_pb2 import HttpBody
from weft.notification.v1 import provider_service_pb2 as pb
from weft.notification.v1 import provider_service_pb2_grpc
from weft.notification.v1.category_pb2 import CHANNEL_EMAIL
from weft.notification.v1.notification_pb2 import DeliveryEventType, Recipient

from deploy.local.components import callbacks, sms_sink
from services.notification.delivery_events.twilio import callback_url
from tests.notification.conftest import Service
from tests.notification.requests.calls import Caller
from tests.notification.texts import PASSWORD, PHONE

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"
URL = "https://weft.test/v1/providers/twilio/events"


class Told:
    """A service that is told of deliveries."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.acme = Caller(service)
        self.rpc: Any = provider_service_pb2_grpc.ProviderServiceStub(service.running.channel)
        self.count = itertools.count()

    async def send(self, to: Recipient, *channels: int) -> tuple[str, str]:
        """Send a message; the ids of the notification and of its first delivery."""
        sent = await self.acme.send(to, channels=channels or [CHANNEL_EMAIL])
        notification_id = sent.notifications[0].notification_id
        return notification_id, (await self.acme.deliveries(notification_id))[0].delivery_id

    async def call(self, provider: str, headers: Mapping[str, str], body: bytes, delivery_id: str = "") -> None:
        request = pb.HandleDeliveryEventRequest(provider=provider, body=HttpBody(data=body), delivery_id=delivery_id)
        metadata = [(name.lower(), value) for name, value in headers.items() if name != "Content-Type"]
        await self.rpc.HandleDeliveryEvent(request, metadata=metadata)

    async def twilio(self, delivery_id: str, status: str, code: str = "", to: str = PHONE, sid: str = "") -> None:
        sid = sid or f"SM{next(self.count):032x}"
        form = {"AccountSid": sms_sink.ACCOUNT, "MessageSid": sid, "MessageStatus": status, "To": to, "ErrorCode": code}
        await self.call("twilio", *callbacks.twilio(callback_url(URL, delivery_id), form, PASSWORD), delivery_id)

    async def sendgrid(self, *events: dict[str, Any]) -> None:
        seconds = int(self.service.app.clock.now().timestamp())
        await self.call("sendgrid", *callbacks.sendgrid(events, KEY, seconds))

    def event(self, about: str, name: str, **more: Any) -> dict[str, Any]:
        ids_of = {"sg_event_id": f"e{next(self.count)}", "sg_message_id": "m1", "smtp-id": f"<{about}@weft.local>"}
        return {"event": name, **ids_of, **more}

    async def after(self, notification_id: str) -> tuple[list[tuple[str, str]], list[str]]:
        """State and reason of each delivery, and what was said of the first."""
        first = (await self.acme.deliveries(notification_id))[0]
        types = [DeliveryEventType.Name(each.type).removeprefix("DELIVERY_EVENT_TYPE_") for each in first.events]
        return await self.acme.parts(notification_id), types
