"""The RPCs of NotificationService: what is sent on request, and what became of it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from weft.notification.v1 import notification_pb2
from weft.notification.v1 import notification_service_pb2 as pb

from chassis import times
from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.security.identity import Identity
from chassis.storage.database import Database
from services.notification.content import Content
from services.notification.deliveries.domain import DeliveryState
from services.notification.ownership import owner_of
from services.notification.requests import messages
from services.notification.requests.delivery_repository import RequestedDeliveryRepository
from services.notification.requests.domain import (
    NewMessage,
    NotificationNotCancellable,
    NotificationNotFound,
    To,
)
from services.notification.requests.repository import RequestRepository
from services.notification.requests.sending import Sender, Sending
from services.notification.sealed_content import Contents
from services.notification.templates.domain import TemplateNotFound, TemplateNotPublished
from services.notification.templates.handlers import read_data
from services.notification.templates.repository import TemplateRepository

_DEFAULT_WINDOW_S = 86_400


class NotificationHandlers:
    """weft.notification.v1.NotificationService, but for its deliveries."""

    def __init__(
        self,
        database: Database,
        records: RequestRepository,
        deliveries: RequestedDeliveryRepository,
        sender: Sender,
        contents: Contents,
        templates: TemplateRepository,
        pages: Pages,
        clock: Clock,
    ) -> None:
        self._database = database
        self._records = records
        self._deliveries = deliveries
        self._sender = sender
        self._contents = contents
        self._templates = templates
        self._pages = pages
        self._clock = clock

    async def SendNotification(self, request: pb.SendNotificationRequest, call: Call) -> pb.SendNotificationResponse:
        """Users are looked up now, so that a wrong id is told; addresses only when it is sent."""
        now, message = self._clock.now(), _read(request)
        if request.template_id:
            message = await self._with_template(message, request.template_id, call.caller)
        message.check(now, by_operator=call.caller.is_operator)
        users = await self._sender.get_users(message.recipients, call.caller)
        async with self._database.transaction() as tx:
            notification_ids = await self._sender.store(tx, message, Sending.of(call.caller), now, users)
            rows = await self._records.get_updated(tx, notification_ids)
            reply = pb.SendNotificationResponse(
                notifications=[messages.to_message(row, self._contents) for row in rows]
            )
            await call.remember(tx, reply)
        return reply

    async def GetNotification(self, request: pb.GetNotificationRequest, call: Call) -> notification_pb2.Notification:
        """Raises `NotificationNotFound`."""
        return await self._get(request.notification_id, call.caller)

    async def ListNotifications(self, request: pb.ListNotificationsRequest, call: Call) -> pb.ListNotificationsResponse:
        """Newest first."""
        owner, filters = owner_of(call.caller), _filters(request)
        page = self._pages.read(request, {"list": "notifications", "owner": owner, **filters})
        rows = await self._records.list(owner, page.limit, page.after, filters)
        found, token = self._pages.split(
            page, rows, lambda row: messages.to_message(row, self._contents), key="notification_id"
        )
        return pb.ListNotificationsResponse(notifications=found, next_page_token=token)

    async def CancelNotification(
        self, request: pb.CancelNotificationRequest, call: Call
    ) -> notification_pb2.Notification:
        """Raises `NotificationNotCancellable` where no delivery is left to cancel."""
        async with self._database.transaction() as tx:
            if not await self._records.lock(tx, owner_of(call.caller), request.notification_id):
                raise NotificationNotFound(notification_id=request.notification_id)
            cancelled = await self._deliveries.cancel(tx, request.notification_id, self._clock.now())
            (row,) = await self._records.get_updated(tx, [request.notification_id])
            reply = messages.to_message(row, self._contents)
            if not cancelled:
                raise NotificationNotCancellable(state=messages.STATES[reply.state].value)
            await call.remember(tx, reply)
        return reply

    async def _with_template(self, message: NewMessage, template_id: str, caller: Identity) -> NewMessage:
        """With the version that is published now, whatever is published until it is sent."""
        template = await self._templates.get(owner_of(caller), template_id)
        if template is None:
            raise TemplateNotFound(template_id=template_id)
        if not template.published_version:
            raise TemplateNotPublished(template_id=template_id)
        number = template.published_version
        version = await self._templates.get_version(template_id, number)
        return replace(message, template_id=template_id, template_version=number, version=version)

    async def _get(self, notification_id: str, caller: Identity) -> notification_pb2.Notification:
        row = await self._records.get(owner_of(caller), notification_id)
        if row is None:
            raise NotificationNotFound(notification_id=notification_id)
        return messages.to_message(row, self._contents)


def _read(request: pb.SendNotificationRequest) -> NewMessage:
    content = request.content
    return NewMessage(
        recipients=list(dict.fromkeys(To(to.user_id, to.email, to.phone) for to in request.recipients)),
        channels=[messages.CHANNELS[channel] for channel in request.channels],
        every_channel=request.every_channel,
        category=messages.CATEGORIES[request.category],
        content=Content(
            subject=content.subject,
            text=content.text,
            html=content.html,
            short=content.short,
            dedupe_key=request.dedupe_key,
            metadata=dict(request.metadata),
            data=read_data(request.data, "data"),
        ),
        send_at=times.clamped(request.send_at) if request.HasField("send_at") else None,
        expire_at=times.clamped(request.expire_at) if request.HasField("expire_at") else None,
        dedupe_window=timedelta(seconds=request.dedupe_window_s or _DEFAULT_WINDOW_S),
    )


def _filters(request: pb.ListNotificationsRequest) -> dict[str, Any]:
    """The filters of `RequestRepository.list` that a request sets."""
    filters: dict[str, Any] = {}
    if request.state:
        filters["rank"] = [*DeliveryState].index(messages.STATES[request.state]) + 1
    if request.category:
        filters["category"] = messages.CATEGORIES[request.category].value
    if request.user_id:
        filters["user_id"] = request.user_id
    if request.HasField("create_time_from"):
        filters["created_from"] = times.clamped(request.create_time_from)
    if request.HasField("create_time_to"):
        filters["created_to"] = times.clamped(request.create_time_to)
    return filters
