"""Tells the owners of a partner that one of its endpoints was disabled: by mail and in their inbox, also where it is in TEST."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError
from opentelemetry.trace import SpanKind
from weft.api.v1.event_pb2 import Event
from weft.notification.v1 import events_pb2, webhook_endpoint_pb2
from weft_client.errors import WeftError
from weft_internal import InternalWeft

from chassis import ids
from chassis.queues.queue import Job
from chassis.security import modes
from chassis.telemetry import logs, tracing
from chassis.telemetry.tracing import Tracer
from chassis.times import timestamp
from services.notification.channels.channel import EVERYWHERE
from services.notification.endpoints.domain import Endpoint
from services.notification.notifications.notification import NewNotification, Notification
from services.notification.notifications.repository import NotificationRepository

TYPE = "webhook.disabled"
log = logs.logger("webhooks")


def event(endpoint: Endpoint, reason: str, now: datetime) -> Event:
    """What happened. Its mode is that of people, LIVE; the endpoint's is in the payload."""
    made = Event(
        event_id=ids.new("evt", now),
        type=TYPE,
        aggregate_id=endpoint.endpoint_id,
        sequence=endpoint.version,
        actor="service:notification",
        partner_id=endpoint.partner_id,
        mode=modes.to_message(modes.LIVE),
        occur_time=timestamp(now),
    )
    made.payload.Pack(
        events_pb2.WebhookDisabled(
            endpoint_id=endpoint.endpoint_id,
            host=urlsplit(endpoint.url).hostname or "",
            reason=webhook_endpoint_pb2.WebhookDisableReason.Value(f"WEBHOOK_DISABLE_REASON_{reason}"),
            mode=modes.to_message(endpoint.mode),
        )
    )
    return made


class NoticeWorker:
    """The handler of `webhook_notice_jobs`. A repeated job notifies nobody twice."""

    def __init__(self, clients: InternalWeft, notifications: NotificationRepository, tracer: Tracer) -> None:
        self._clients = clients
        self._notifications = notifications
        self._tracer = tracer

    async def __call__(self, jobs: Sequence[Job]) -> None:
        """One notification for each owner."""
        for job in jobs:
            try:
                happened = Event.FromString(job.payload)
            except DecodeError:
                job.dead("the payload is not an event")
                continue
            with self._tracer.span(f"notify {TYPE}", job.traceparent, SpanKind.CONSUMER):
                try:
                    reply = await self._clients.partners.get_owners(partner_id=happened.partner_id)
                except WeftError as error:
                    job.retry(f"user service: {error.reason or error.code.name}")
                    continue
                if reply.user_ids:
                    await self._notifications.insert([_notification(happened, owner) for owner in reply.user_ids])
                else:
                    log.warning("webhook_disabled_untold", endpoint_id=happened.aggregate_id)


def _notification(happened: Event, owner: str) -> NewNotification:
    payload = events_pb2.WebhookDisabled()
    happened.payload.Unpack(payload)
    data = {
        "endpoint_id": payload.endpoint_id,
        "host": payload.host,
        "gone": payload.reason == webhook_endpoint_pb2.WEBHOOK_DISABLE_REASON_GONE,
        "test": modes.of_message(payload.mode) == modes.TEST,
    }
    notification = Notification(TYPE, owner, payload.endpoint_id, EVERYWHERE, data)
    return NewNotification(happened, f"notify_webhook_disabled/{owner}", notification, tracing.current_traceparent())
