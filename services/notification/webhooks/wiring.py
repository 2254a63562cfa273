"""The parts of webhooks, put together for the service's process."""

from typing import NamedTuple

from aiohttp.abc import AbstractResolver

from chassis.app import RETRY_FOREVER, App
from chassis.queues.announcer import Announcer
from chassis.queues.queue import Backoff
from chassis.queues.worker import Worker
from services.notification.channels.webhook.addresses import Guard
from services.notification.channels.webhook.names import MAX_WAITING_FOR_REGISTRATION, THREADS_FOR_REGISTRATION, Names
from services.notification.channels.webhook.sender import Sender
from services.notification.channels.webhook.targets import Targets
from services.notification.endpoints.handlers import EndpointHandlers
from services.notification.endpoints.repository import EndpointRepository
from services.notification.event_log.repository import EventLogRepository
from services.notification.notifications.repository import NotificationRepository
from services.notification.webhooks.handlers import DeliveryHandlers
from services.notification.webhooks.lane_repository import LaneRepository
from services.notification.webhooks.notices import NoticeWorker
from services.notification.webhooks.repository import WebhookRepository
from services.notification.webhooks.worker import WebhookWorker


class Reach(NamedTuple):
    """How addresses that others name are reached: checked at registration, and guarded at each connection."""

    targets: Targets
    sender: Sender


def reach(app: App, names: AbstractResolver | None) -> Reach:
    """`names` resolves in place of the system."""
    guard = Guard(app.settings.webhook_allowed)
    registering = names or Names(THREADS_FOR_REGISTRATION, MAX_WAITING_FOR_REGISTRATION)
    sender = Sender(guard, names or Names(), app.settings.webhook_timeout)
    app.run_in_background(sender.run())
    app.on_close(registering.close)
    return Reach(Targets(guard, registering), sender)


def serve(app: App, webhooks: WebhookRepository, notifications: NotificationRepository, reached: Reach) -> Announcer:
    """Serve webhooks; returns what tells their worker that there is something to send."""
    announcer = Announcer(app.database, "webhook_lanes")
    endpoints = EndpointRepository(app.database, app.vault)
    app.add_service(
        "weft.notification.v1.WebhookService",
        EndpointHandlers(app.database, endpoints, reached.targets, app.pages, app.clock),
        DeliveryHandlers(
            app.database, endpoints, webhooks, EventLogRepository(app.database), announcer, app.pages, app.clock
        ),
    )
    notices = app.queue("webhook_notice_jobs", **RETRY_FOREVER, backoff=Backoff(first_s=1.0, max_s=600.0))
    app.add_worker(Worker(notices, NoticeWorker(app.clients, notifications, app.tracer), batch=10))
    app.on_notify(announcer.channel, announcer.hear)
    app.add_worker(
        WebhookWorker(
            LaneRepository(app.database, app.clock, notices),
            endpoints,
            reached.sender,
            announcer,
            clock=app.clock,
            tracer=app.tracer,
            scale=app.settings.webhook_time_scale,
        )
    )
    return announcer
