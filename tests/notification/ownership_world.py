"""Who calls the notification service in the ownership matrix, and what each owns."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from weft.notification.v1 import (
    category_pb2,
    device_service_pb2,
    device_service_pb2_grpc,
    event_service_pb2,
    event_service_pb2_grpc,
    inbox_service_pb2,
    inbox_service_pb2_grpc,
    notification_pb2,
    notification_service_pb2,
    notification_service_pb2_grpc,
    template_pb2,
    template_service_pb2,
    template_service_pb2_grpc,
    webhook_service_pb2,
    webhook_service_pb2_grpc,
)

from chassis import ids
from chassis.security import modes
from contract import Method
from tests.contract.ownership.actors import SCOPES, TEST, actors, mode_of
from tests.contract.ownership.ownership import Ids, World
from tests.harness import Harness, Running
from tests.notification import sample_events as events
from tests.notification import users as notification_users
from tests.servers import until

POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
"""On the curve P-256."""
Token = list[tuple[str, str]]


@asynccontextmanager
async def world(harness: Harness) -> AsyncIterator[World]:
    """Two people with notifications; two partners with messages and webhooks, one of them in TEST as well."""
    owners = {group: (ids.new("usr"), "") for group in ("ann", "bob")}
    owners |= {group: ("", ids.new("prt")) for group in ("acme", "zenith")}
    owners["acme" + TEST] = ("", owners["acme"][1])
    async with (
        notification_users.serving(harness.certificates) as people,
        harness.running("notification", peers={"user": [people.address]}, work=True) as running,
    ):
        people.everybody = True
        made = _Maker(harness, running, owners)
        yield World(running, actors(harness, owners), made.create, made.prepare)


class _Maker:
    """Makes what the groups own."""

    def __init__(self, harness: Harness, running: Running, owners: dict[str, tuple[str, str]]) -> None:
        self._written: Any = template_service_pb2_grpc.TemplateServiceStub(running.channel)
        self._sending: Any = notification_service_pb2_grpc.NotificationServiceStub(running.channel)
        self._rpc: Any = event_service_pb2_grpc.EventServiceStub(running.channel)
        self._inbox: Any = inbox_service_pb2_grpc.InboxServiceStub(running.channel)
        self._devices: Any = device_service_pb2_grpc.DeviceServiceStub(running.channel)
        self._webhooks: Any = webhook_service_pb2_grpc.WebhookServiceStub(running.channel)
        self._issuer = harness.issuer
        self._owners = owners
        self._operator = [("authorization", harness.issuer.operator(ids.new("usr"), SCOPES))]
        self._templates: dict[str, str] = {}
        self._kind = "notification_delivery_id"

    async def create(self, group: str) -> Ids:
        """Deliveries of both kinds; `delivery_id` is of the kind that the method at hand is about."""
        user, _ = self._owners[group]
        prefixes = {
            "endpoint_id": "whk",
            "event_id": "evt",
            "webhook_delivery_id": "whd",
            "user_id": "usr",
            "device_id": "dev",
        }
        made = {name: ids.new(prefix) for name, prefix in prefixes.items()}
        made |= await self._notify(user) if user else {**await self._send(group), **await self._tell(group)}
        return made | {"delivery_id": made[self._kind], "template_id": await self._template_of(group)}

    async def prepare(self, method: Method, made: Ids) -> None:
        """Choose the kind of delivery that a method is about."""
        webhook = ".WebhookService." in method.full_name
        self._kind = "webhook_delivery_id" if webhook else "notification_delivery_id"
        made["delivery_id"] = made[self._kind]

    def _partner(self, group: str) -> Token:
        token = self._issuer.partner(self._owners[group][1], SCOPES, mode=mode_of(group))
        return [("authorization", token)]

    async def _delivery_of(self, notification_id: str, token: Token) -> str:
        of = notification_service_pb2.ListDeliveriesRequest(notification_id=notification_id)
        delivery, *_ = (await self._sending.ListDeliveries(of, metadata=token)).deliveries
        return str(delivery.delivery_id)

    async def _send(self, group: str) -> dict[str, str]:
        token = self._partner(group)
        request = notification_service_pb2.SendNotificationRequest(
            recipients=[notification_pb2.Recipient(email="ann@example.com")],
            channels=[category_pb2.CHANNEL_INBOX],
            category=category_pb2.CATEGORY_UPDATES,
            content=notification_pb2.Content(subject="News"),
        )
        made = (await self._sending.SendNotification(request, metadata=token)).notifications[0].notification_id
        return {"notification_id": made, "notification_delivery_id": await self._delivery_of(made, token)}

    async def _notify(self, user: str) -> dict[str, str]:
        order = ids.new("ord")
        await self._rpc.PublishEvents(event_service_pb2.PublishEventsRequest(events=[events.confirmed(user, order)]))
        token = [("authorization", self._issuer.user(user, SCOPES))]
        found: list[str] = []

        async def arrived() -> bool:
            reply = await self._inbox.ListInbox(inbox_service_pb2.ListInboxRequest(), metadata=token)
            found[:] = [item.notification_id for item in reply.items if item.subject_id == order]
            return bool(found)

        await until(arrived, "the notification to arrive")
        subscription = {"endpoint": f"https://push.example/{order}", "p256dh": POINT, "auth": "A" * 22}
        device = device_service_pb2.RegisterDeviceRequest(user_id=user, **subscription)
        return {
            "notification_id": found[0],
            "user_id": user,
            "device_id": (await self._devices.RegisterDevice(device, metadata=token)).device_id,
            "notification_delivery_id": await self._delivery_of(found[0], self._operator),
        }

    async def _tell(self, group: str) -> dict[str, str]:
        partner, token = self._owners[group][1], self._partner(group)
        # The oldest are given up: there is a limit, and each gets every event.
        listed = await self._webhooks.ListEndpoints(webhook_service_pb2.ListEndpointsRequest(), metadata=token)
        for one in listed.endpoints[3:]:
            old = webhook_service_pb2.DeleteEndpointRequest(endpoint_id=one.endpoint_id)
            await self._webhooks.DeleteEndpoint(old, metadata=token)
        new = webhook_service_pb2.CreateEndpointRequest(url="https://hooks.example/")
        endpoint_id = (await self._webhooks.CreateEndpoint(new, metadata=token)).endpoint_id
        event = events.placed(ids.new("usr"), partner_id=partner, mode=modes.to_message(mode_of(group)))
        await self._rpc.PublishEvents(event_service_pb2.PublishEventsRequest(events=[event]))
        of_endpoint = webhook_service_pb2.ListWebhookDeliveriesRequest(endpoint_id=endpoint_id)
        (delivery,) = (await self._webhooks.ListWebhookDeliveries(of_endpoint, metadata=token)).deliveries
        return {"endpoint_id": endpoint_id, "event_id": event.event_id, "webhook_delivery_id": delivery.delivery_id}

    async def _template_of(self, group: str) -> str:
        """One for all calls: there is a limit. That of a user is the platform's, which operators see."""
        token = self._partner(group) if self._owners[group][1] else self._operator
        if group not in self._templates:
            text = template_pb2.TemplateText(locale="en", subject="News", text="News")
            new = template_service_pb2.CreateTemplateRequest(title="News", texts=[text])
            self._templates[group] = (await self._written.CreateTemplate(new, metadata=token)).template_id
        return self._templates[group]
