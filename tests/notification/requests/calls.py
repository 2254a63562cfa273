"""Calls of messages on request, as tests make them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from weft.api.v1 import mode_pb2
from weft.notification.v1 import notification_service_pb2 as pb
from weft.notification.v1 import notification_service_pb2_grpc
from weft.notification.v1.category_pb2 import (
    CATEGORY_UPDATES,
    CHANNEL_EMAIL,
)
from weft.notification.v1.notification_pb2 import Content, NotificationState, Recipient

from chassis import ids
from tests.notification.conftest import Service

SCOPES = "notifications.read notifications.send"
ACME = ids.new("prt")
CONTENT = Content(subject="Your parcel", text="It waits.\n\nAt <the> desk.", short="It waits.")


class Caller:
    """A partner's client, or an operator, with the RPCs of a service."""

    def __init__(self, service: Service, partner: str = ACME, mode: str = "LIVE") -> None:
        issuer = service.harness.issuer
        token = issuer.partner(partner, SCOPES, mode=mode) if partner else issuer.operator(ids.new("usr"), SCOPES)
        self.metadata = [("authorization", token)]
        self.rpc: Any = notification_service_pb2_grpc.NotificationServiceStub(service.running.channel)

    def send(self, *to: Recipient, channels: Sequence[int] = (CHANNEL_EMAIL,), key: str = "", **more: Any) -> Any:
        request = {"category": CATEGORY_UPDATES, "content": CONTENT, "channels": channels, **more}
        metadata = [*self.metadata, *([("idempotency-key", key)] if key else [])]
        return self.rpc.SendNotification(pb.SendNotificationRequest(recipients=to, **request), metadata=metadata)

    async def state(self, notification_id: str) -> str:
        request = pb.GetNotificationRequest(notification_id=notification_id)
        found = await self.rpc.GetNotification(request, metadata=self.metadata)
        return NotificationState.Name(found.state).removeprefix("NOTIFICATION_STATE_")

    async def parts(self, notification_id: str) -> list[tuple[str, str]]:
        """State and reason of each delivery, in order of preference."""
        return [
            (NotificationState.Name(each.state).removeprefix("NOTIFICATION_STATE_"), each.reason)
            for each in await self.deliveries(notification_id)
        ]

    async def deliveries(self, notification_id: str) -> Any:
        request = pb.ListDeliveriesRequest(notification_id=notification_id)
        return (await self.rpc.ListDeliveries(request, metadata=self.metadata)).deliveries

    async def cancel(self, notification_id: str) -> Any:
        request = pb.CancelNotificationRequest(notification_id=notification_id)
        return await self.rpc.CancelNotification(request, metadata=self.metadata)

    async def retry(self, delivery: Any) -> Any:
        request = pb.RetryDeliveryRequest(notification_id=delivery.notification_id, delivery_id=delivery.delivery_id)
        return await self.rpc.RetryDelivery(request, metadata=self.metadata)


def customer(service: Service, partner: str = ACME, mode: str = "LIVE", **fields: Any) -> Recipient:
    user = service.users.add(ids.new("usr"), partner_id=partner, mode=mode_pb2.Mode.Value(f"MODE_{mode}"), **fields)
    return Recipient(user_id=user)


def at(time: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp
