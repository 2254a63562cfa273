"""The notification service: receives events, stores notifications, sends mails."""

from pathlib import Path

from chassis import process
from chassis.app import App
from chassis.queues.queue import Backoff, Queue
from chassis.queues.worker import Worker
from services.notification import tables
from services.notification.channels.email.message import Sender
from services.notification.channels.email.smtp import Mailer, parse_smtp_url
from services.notification.deliveries.composer import Composer
from services.notification.deliveries.repository import DeliveryRepository
from services.notification.deliveries.worker import DeliveryWorker
from services.notification.events.handlers import EventHandlers
from services.notification.events.repository import EventRepository
from services.notification.events.worker import EventWorker
from services.notification.inbox.handlers import InboxHandlers
from services.notification.inbox.repository import InboxRepository
from services.notification.notifications.repository import NotificationRepository
from services.notification.observers import OBSERVERS, Observers
from services.notification.recipients import Recipients
from services.notification.templates.rendering import Templates

MIGRATIONS = Path(__file__).parent / "migrations"
MAX_EMAIL_ATTEMPTS = 30
"""With the backoff below, about three hours."""
EMAIL_LEASE_S = 45.0
"""Long enough for the look-up, the code, and two submissions to the mail server."""
FAIL_DEAD_INTERVAL_S = 300


async def build(app: App, observers: Observers = OBSERVERS) -> None:
    """Wire the service."""
    templates = Templates()
    event_jobs = app.queue("event_jobs")
    email_jobs = app.queue(
        "email_jobs",
        lease=EMAIL_LEASE_S,
        max_attempts=MAX_EMAIL_ATTEMPTS,
        backoff=Backoff(first=1.0, most=600.0),
    )
    events = EventRepository(app.database, app.clock, observers, event_jobs)
    notifications = NotificationRepository(app.database, app.clock, email_jobs)
    inbox = InboxRepository(app.database)
    app.add_service("weft.notification.v1.EventService", EventHandlers(events))
    app.add_service("weft.notification.v1.InboxService", InboxHandlers(inbox, templates, app.pages, app.clock))
    app.add_worker(Worker(event_jobs, EventWorker(notifications, observers, app.tracer)))
    _send_mails(app, email_jobs, templates)


def _send_mails(app: App, email_jobs: Queue, templates: Templates) -> None:
    mailer = Mailer(parse_smtp_url(app.settings.smtp_url.get_secret_value()))
    recipients = Recipients(app.clients)
    deliveries = DeliveryRepository(app.database, mailer.name)
    worker = DeliveryWorker(
        deliveries,
        recipients,
        Composer(templates, recipients, Sender.of(app.settings.mail_from)),
        mailer,
        clock=app.clock,
        tracer=app.tracer,
        max_attempts=MAX_EMAIL_ATTEMPTS,
    )
    app.add_worker(Worker(email_jobs, worker, batch=8, concurrency=2, breakers=worker.breakers))
    app.run_in_background(mailer.close_idle())
    app.schedule(FAIL_DEAD_INTERVAL_S, lambda: deliveries.fail_dead(app.clock.now()), "fail dead deliveries")


if __name__ == "__main__":
    process.main("notification", build, metadata=tables.metadata, migrations=MIGRATIONS)
