"""Serves DeviceService, and sends push messages to the devices."""

from weft_client.calls.breaker import Breaker

from chassis.app import App
from chassis.queues.queue import Backoff, Queue
from chassis.queues.worker import Worker
from services.notification import tables
from services.notification.channels.channel import Channel
from services.notification.channels.email.message import Sender as MailSender
from services.notification.channels.push.web_push import WebPush
from services.notification.deliveries.gate import Gate
from services.notification.deliveries.pushes import PushComposer
from services.notification.deliveries.repository import DeliveryRepository
from services.notification.deliveries.worker import DeliveryWorker, Medium
from services.notification.devices.handlers import DeviceHandlers
from services.notification.devices.repository import DeviceRepository
from services.notification.recipients import Recipients
from services.notification.webhooks.wiring import Reach
from services.notification.writing import Writing

MAX_ATTEMPTS = 12
"""With the backoff below, about an hour."""
LEASE_S = 45.0
"""Long enough for the look-up, and one request to each device, all at once."""
FAIL_DEAD_INTERVAL_S = 300


def queue(app: App) -> Queue:
    """The queue of push messages."""
    return app.queue("push_jobs", lease=LEASE_S, max_attempts=MAX_ATTEMPTS, backoff=Backoff(first_s=2.0, max_s=600.0))


def serve(
    app: App, jobs: Queue, reached: Reach, recipients: Recipients, writing: Writing, gate: Gate, dispatch_jobs: Queue
) -> None:
    """Without `WEFT_VAPID_KEY` push messages are skipped as NOT_CONFIGURED."""
    devices = DeviceRepository(app.database, app.vault)
    app.add_service(
        "weft.notification.v1.DeviceService", DeviceHandlers(app.database, devices, reached.targets, app.clock)
    )
    key, contact = app.settings.vapid_key.get_secret_value(), MailSender.of(app.settings.mail_from).address
    carrier = WebPush(reached.sender, key, contact, devices.forget, app.clock) if key else None
    deliveries = DeliveryRepository(app.database, WebPush.name, dispatch_jobs, tables.push_jobs)
    composer = PushComposer(devices, writing, app.clock)
    worker = DeliveryWorker(
        deliveries,
        recipients,
        Medium(Channel.PUSH, "push message", composer.compose, carrier, Breaker("push"), gate),
        clock=app.clock,
        tracer=app.tracer,
        max_attempts=MAX_ATTEMPTS,
    )
    app.add_worker(Worker(jobs, worker, batch=8, concurrency=4, breakers=worker.breakers))
    app.schedule(FAIL_DEAD_INTERVAL_S, lambda: deliveries.fail_dead(app.clock.now()), "fail dead push messages")
