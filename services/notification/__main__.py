"""The notification service: events in, notices and mails out."""

from pathlib import Path

from chassis import process
from chassis.app import App
from chassis.queues.queue import Backoff, Queue
from chassis.queues.worker import Worker
from services.notification import tables
from services.notification.channels.email.message import Sender
from services.notification.channels.email.smtp import Mailer, server_of
from services.notification.channels.email.writer import Writer
from services.notification.deliveries.repository import DeliveryRepository
from services.notification.deliveries.worker import DeliveryWorker
from services.notification.events.handlers import EventHandlers
from services.notification.events.repository import EventRepository
from services.notification.events.worker import EventWorker
from services.notification.inbox.handlers import InboxHandlers
from services.notification.inbox.repository import InboxRepository
from services.notification.observers import OBSERVERS, Observers
from services.notification.recipients import Recipients
from services.notification.templates.rendering import Templates

MIGRATIONS = Path(__file__).parent / "migrations"
MAIL_ATTEMPTS = 30
"""With the backoff below, some three hours."""


async def build(app: App, observers: Observers = OBSERVERS) -> None:
    """Wire the service."""
    templates = Templates()
    observations = app.queue("observations")
    # A lease holds the look-up, the code, and two tries at the mail server.
    mails = app.queue("mails", lease=45.0, max_attempts=MAIL_ATTEMPTS, backoff=Backoff(first=1.0, most=600.0))
    events = EventRepository(app.database, app.clock, observers, observations, mails)
    inbox = InboxRepository(app.database)
    app.add_service("weft.notification.v1.EventService", EventHandlers(events))
    app.add_service("weft.notification.v1.InboxService", InboxHandlers(inbox, templates, app.pages, app.clock))
    app.add_worker(Worker(observations, EventWorker(events, observers, app.tracer)))
    _send_mails(app, mails, templates)


def _send_mails(app: App, mails: Queue, templates: Templates) -> None:
    mailer = Mailer(server_of(app.settings.smtp_url.get_secret_value()))
    recipients = Recipients(app.clients)
    deliveries = DeliveryRepository(app.database, mailer.name)
    worker = DeliveryWorker(
        deliveries,
        recipients,
        Writer(templates, recipients, Sender.of(app.settings.mail_from)),
        mailer,
        clock=app.clock,
        tracer=app.tracer,
        max_attempts=MAIL_ATTEMPTS,
    )
    app.add_worker(Worker(mails, worker, batch=8, concurrency=2, breakers=worker.breakers))
    app.run_in_background(mailer.keep())
    app.schedule(300, lambda: deliveries.fail_dead(app.clock.now()), "fail dead deliveries")


if __name__ == "__main__":
    process.main("notification", build, metadata=tables.metadata, migrations=MIGRATIONS)
