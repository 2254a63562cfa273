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


async def build(weft: App, observers: Observers = OBSERVERS) -> None:
    """Wire the service."""
    templates = Templates()
    observations = weft.queue("observations")
    # A lease holds the look-up, the code, and two tries at the mail server.
    mails = weft.queue("mails", lease=45.0, max_attempts=MAIL_ATTEMPTS, backoff=Backoff(first=1.0, most=600.0))
    events = EventRepository(weft.database, weft.clock, observers, observations, mails)
    inbox = InboxRepository(weft.database)
    weft.serve("weft.notification.v1.EventService", EventHandlers(events))
    weft.serve("weft.notification.v1.InboxService", InboxHandlers(inbox, templates, weft.pages, weft.clock))
    weft.work(Worker(observations, EventWorker(events, observers, weft.tracer)))
    _send_mails(weft, mails, templates)


def _send_mails(weft: App, mails: Queue, templates: Templates) -> None:
    mailer = Mailer(server_of(weft.settings.smtp_url.get_secret_value()))
    recipients = Recipients(weft.clients)
    deliveries = DeliveryRepository(weft.database, mailer.name)
    worker = DeliveryWorker(
        deliveries,
        recipients,
        Writer(templates, recipients, Sender.of(weft.settings.mail_from)),
        mailer,
        clock=weft.clock,
        tracer=weft.tracer,
        max_attempts=MAIL_ATTEMPTS,
    )
    weft.work(Worker(mails, worker, batch=8, concurrency=2, breakers=worker.breakers))
    weft.background(mailer.keep())
    weft.every(300, lambda: deliveries.fail_dead(weft.clock.now()), "fail dead deliveries")


if __name__ == "__main__":
    process.main("notification", build, metadata=tables.metadata, migrations=MIGRATIONS)
