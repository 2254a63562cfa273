"""The notification service: receives events, notifies people, and tells partners by webhooks."""

import gc

gc.disable()  # until it serves: the imports leave next to no garbage, and collecting takes a seventh of their time

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from aiohttp.abc import AbstractResolver

from chassis import process
from chassis.app import App
from chassis.queues.queue import Backoff, Queue
from chassis.queues.worker import Worker
from chassis.settings import Settings, SettingsError
from services.notification import tables
from services.notification.channels.channel import Channel
from services.notification.channels.email.dkim import Dkim
from services.notification.channels.email.message import Mail, Sender
from services.notification.channels.email.smtp import Mailer, Server, parse_smtp_url
from services.notification.channels.push.web_push import WebPush
from services.notification.channels.sms.twilio import Twilio
from services.notification.deliveries.composer import Composer, TextComposer
from services.notification.deliveries.gate import Gate
from services.notification.deliveries.providers import Providers
from services.notification.deliveries.pushes import PushComposer
from services.notification.deliveries.repository import DeliveryRepository
from services.notification.deliveries.throttle import batch_at
from services.notification.deliveries.worker import Claims, DeliveryWorker, Medium
from services.notification.delivery_events import wiring as event_wiring
from services.notification.devices.handlers import DeviceHandlers
from services.notification.devices.repository import DeviceRepository
from services.notification.digests.repository import DigestRepository
from services.notification.digests.sending_repository import SendingDigestRepository
from services.notification.event_log.handlers import EventLogHandlers
from services.notification.event_log.repository import EventLogRepository
from services.notification.events.handlers import EventHandlers
from services.notification.events.observing import Observing
from services.notification.events.repository import EventRepository
from services.notification.events.worker import EventWorker
from services.notification.inbox.feed import InboxFeed
from services.notification.inbox.handlers import InboxHandlers
from services.notification.inbox.repository import InboxRepository
from services.notification.inbox.streams import InboxStreams
from services.notification.notifications.repository import NotificationRepository
from services.notification.observers import OBSERVERS, Observers
from services.notification.persons.handlers import PersonHandlers
from services.notification.persons.repository import PersonRepository
from services.notification.preferences.handlers import PreferenceHandlers
from services.notification.preferences.repository import PreferenceRepository
from services.notification.preferences.unsubscribing import UnsubscribeLinks
from services.notification.recipients import Recipients
from services.notification.requests import wiring as request_wiring
from services.notification.sealed_content import Contents
from services.notification.suppressions.handlers import SuppressionHandlers
from services.notification.suppressions.repository import SuppressionRepository
from services.notification.templates.rendering import Templates
from services.notification.templates.repository import TemplateRepository
from services.notification.webhooks import wiring as webhook_wiring
from services.notification.webhooks.repository import WebhookRepository
from services.notification.writing import Writing

MIGRATIONS = Path(__file__).parent / "migrations"
MAX_EMAIL_ATTEMPTS = 30
"""With the backoff below, about three hours."""
MAX_SMS_ATTEMPTS = 6
"""With the backoff below, about two minutes: a code is of no use later."""
SMS_LEASE_S = 30.0
"""Long enough for the look-up, the code, and one request to the provider."""
EMAIL_LEASE_S = 60.0
"""Long enough for the look-up, the code, and two submissions to the mail server, also of one that waits until two others have hung."""
MAX_PUSH_ATTEMPTS = 12
"""With the backoff below, about an hour."""
PUSH_LEASE_S = 45.0
"""Long enough for the look-up, and one request to each device, all at once."""
MAX_LATE_PUSHES = 64
"""Push messages that have left their batches: push services are whatever people have registered."""
MAX_MAILS = 32
"""At a time with one server, and in a batch: what hangs leaves it, and while sixteen do, nothing more is begun."""
MAX_TEXTS = 8
"""In a batch."""
LOOPS = 2
"""Batches of one channel at a time: one slow message holds up its own only."""
FAIL_DEAD_INTERVAL_S = 300


async def build(app: App, observers: Observers = OBSERVERS, names: AbstractResolver | None = None) -> None:
    """Wire the service. `names` resolves the hosts of webhooks in place of the system."""
    templates = Templates()
    event_jobs = app.queue("event_jobs")
    jobs = _channel_queues(app)
    notifications = NotificationRepository(app.database, app.clock, jobs)
    inbox, contents, recipients = InboxRepository(app.database), Contents(app.vault), Recipients(app.clients)
    stored_templates = TemplateRepository(app.database)
    writing = Writing(contents, stored_templates)
    feed = InboxFeed(inbox)
    streams = InboxStreams(feed, app.vault.derive("inbox cursors"))
    app.on_stop(feed.stop)
    webhooks = WebhookRepository(app.database)
    reached = webhook_wiring.reach(app, names)
    lanes = webhook_wiring.serve(app, webhooks, notifications, reached)

    def observing() -> Observing:
        return Observing(observers, app.tracer)

    events = EventRepository(app.database, app.clock, observing, notifications, event_jobs, webhooks, lanes)
    app.add_service(
        "weft.notification.v1.EventService",
        EventHandlers(events),
        EventLogHandlers(EventLogRepository(app.database), app.pages),
    )
    preferences, suppressions = PreferenceRepository(app.database), SuppressionRepository(app.database, app.vault)
    app.add_service(
        "weft.notification.v1.PersonalDataService",
        PersonHandlers(PersonRepository(app.database), preferences, app.clock),
    )
    app.add_service(
        "weft.notification.v1.InboxService",
        InboxHandlers(inbox, templates, writing, recipients, feed, streams, app.pages, app.clock),
    )
    app.add_worker(Worker(event_jobs, EventWorker(notifications, observing)))
    links = UnsubscribeLinks(app.vault.derive("unsubscribe links"), app.settings.issuer)
    app.add_service(
        "weft.notification.v1.PreferenceService",
        PreferenceHandlers(app.database, preferences, suppressions, links, app.clock),
    )
    app.add_service("weft.notification.v1.SuppressionService", SuppressionHandlers(suppressions, app.pages))
    dispatch_jobs = app.queue("dispatch_jobs")
    request_wiring.serve(app, jobs, dispatch_jobs, templates, recipients, contents, stored_templates)
    made_of = Composing(templates, recipients, writing, links, suppressions, dispatch_jobs)
    event_wiring.serve(app, suppressions, dispatch_jobs)
    gates = {each: Gate(app.database, preferences, suppressions, app.clock, each) for each in jobs}
    _send_mails(app, jobs[Channel.EMAIL], made_of, gates[Channel.EMAIL])
    _send_texts(app, jobs[Channel.SMS], made_of, gates[Channel.SMS])
    _send_pushes(app, jobs[Channel.PUSH], made_of, gates[Channel.PUSH], reached)


def _channel_queues(app: App) -> dict[Channel, Queue]:
    """The jobs of each channel: one is a delivery, which is not claimed again once it is done."""
    email_jobs = app.queue(
        "email_jobs",
        lease=EMAIL_LEASE_S,
        max_attempts=MAX_EMAIL_ATTEMPTS,
        forgets_keys=True,
        backoff=Backoff(first_s=1.0, max_s=600.0),
    )
    sms_jobs = app.queue(
        "sms_jobs",
        lease=SMS_LEASE_S,
        max_attempts=MAX_SMS_ATTEMPTS,
        forgets_keys=True,
        backoff=Backoff(first_s=2.0, max_s=60.0),
    )
    push_jobs = app.queue(
        "push_jobs",
        lease=PUSH_LEASE_S,
        max_attempts=MAX_PUSH_ATTEMPTS,
        forgets_keys=True,
        backoff=Backoff(first_s=2.0, max_s=600.0),
    )
    return {Channel.EMAIL: email_jobs, Channel.SMS: sms_jobs, Channel.PUSH: push_jobs}


class Composing(NamedTuple):
    """What messages are made of, and the queue by which the next channel follows."""

    templates: Templates
    recipients: Recipients
    writing: Writing
    links: UnsubscribeLinks
    suppressions: SuppressionRepository
    dispatch_jobs: Queue


def _mail_servers(settings: Settings) -> Sequence[Server]:
    """The first server and the second, as far as the settings name them. Raises `SettingsError`."""
    first, second = settings.smtp_url.get_secret_value(), settings.smtp_fallback_url.get_secret_value()
    if second and not first:
        raise SettingsError("WEFT_SMTP_FALLBACK_URL: name the first server in WEFT_SMTP_URL.")
    named = [("WEFT_SMTP_URL", first), ("WEFT_SMTP_FALLBACK_URL", second)]
    return [parse_smtp_url(url, setting) for setting, url in named if url]


def _send_mails(app: App, email_jobs: Queue, made_of: Composing, gate: Gate) -> None:
    """Without `WEFT_SMTP_URL` mails wait."""
    mailers = [Mailer(server, connections=MAX_MAILS) for server in _mail_servers(app.settings)]
    providers = Providers.of("smtp", mailers, per_second=app.settings.mail_rate, repeats_lost=True)
    backoff = Backoff(first_s=1.0, max_s=600.0)
    digest_jobs = app.queue("digest_jobs", lease=EMAIL_LEASE_S, max_attempts=MAX_EMAIL_ATTEMPTS, backoff=backoff)
    digests = DigestRepository(digest_jobs, Channel.EMAIL)
    deliveries = DeliveryRepository(app.database, providers.first, made_of.dispatch_jobs, digests=digests)
    sender, key = Sender.of(app.settings.mail_from), app.settings.dkim_key.get_secret_value()
    composer = Composer(
        made_of.templates,
        made_of.recipients,
        sender,
        made_of.writing,
        made_of.links,
        made_of.suppressions.lookup,
        Dkim(key, app.settings.dkim_selector, sender.address.partition("@")[2]) if key else None,
        app.clock,
        named_to_sendgrid=bool(app.settings.sendgrid_event_keys),
    )
    medium = Medium(Channel.EMAIL, "mail", composer.compose, providers, gate)

    def worker(claims: Claims) -> DeliveryWorker[Mail]:
        return DeliveryWorker(
            claims,
            made_of.recipients,
            medium,
            clock=app.clock,
            tracer=app.tracer,
            max_attempts=MAX_EMAIL_ATTEMPTS,
        )

    together = SendingDigestRepository(app.database, deliveries)
    single, collected = worker(deliveries), worker(together)
    if mailers:
        app.add_worker(
            Worker(
                email_jobs,
                single,
                batch=batch_at(app.settings.mail_rate, MAX_MAILS, LOOPS),
                concurrency=LOOPS,
                breakers=single.breakers,
            )
        )
        app.add_worker(Worker(digest_jobs, collected, batch=1, concurrency=2, breakers=collected.breakers))
    for mailer in mailers:
        app.run_in_background(mailer.close_idle())
    app.schedule(FAIL_DEAD_INTERVAL_S, lambda: deliveries.fail_dead(app.clock.now()), "fail dead deliveries")
    app.schedule(FAIL_DEAD_INTERVAL_S, lambda: together.fail_dead(app.clock.now()), "fail dead digests")


def _send_texts(app: App, sms_jobs: Queue, made_of: Composing, gate: Gate) -> None:
    """Without `WEFT_SMS_URL` text messages are skipped as NOT_CONFIGURED."""
    senders = (("WEFT_SMS_FROM", app.settings.sms_from), ("WEFT_SMS_FALLBACK_FROM", app.settings.sms_fallback_from))
    accounts = zip(event_wiring.sms_accounts(app.settings), senders, strict=False)
    carriers = [Twilio(account, number, setting) for account, (setting, number) in accounts]
    providers = Providers.of("sms", carriers, per_second=app.settings.sms_rate)
    deliveries = DeliveryRepository(app.database, providers.first, made_of.dispatch_jobs, tables.sms_jobs)
    composer = TextComposer(made_of.templates, made_of.recipients, made_of.writing, event_wiring.callback_of(app))
    worker = DeliveryWorker(
        deliveries,
        made_of.recipients,
        Medium(Channel.SMS, "text message", composer.compose, providers, gate),
        clock=app.clock,
        tracer=app.tracer,
        max_attempts=MAX_SMS_ATTEMPTS,
    )
    batch = batch_at(app.settings.sms_rate, MAX_TEXTS, LOOPS)
    app.add_worker(Worker(sms_jobs, worker, batch=batch, concurrency=LOOPS, breakers=worker.breakers))
    app.schedule(FAIL_DEAD_INTERVAL_S, lambda: deliveries.fail_dead(app.clock.now()), "fail dead text messages")
    for carrier in carriers:
        app.run_in_background(carrier.run())


def _send_pushes(app: App, push_jobs: Queue, made_of: Composing, gate: Gate, reached: webhook_wiring.Reach) -> None:
    """Without `WEFT_VAPID_KEY` push messages are skipped as NOT_CONFIGURED."""
    devices, key = DeviceRepository(app.database, app.vault), app.settings.vapid_key.get_secret_value()
    contact = Sender.of(app.settings.mail_from).address
    carrier = WebPush(reached.sender, key, contact, devices.delete_unchanged, app.clock) if key else None
    app.add_service(
        "weft.notification.v1.DeviceService",
        DeviceHandlers(
            app.database, devices, reached.targets, app.clock, public_key=carrier.public_key if carrier else ""
        ),
    )
    deliveries = DeliveryRepository(app.database, WebPush.name, made_of.dispatch_jobs, tables.push_jobs)
    composer = PushComposer(made_of.templates, devices, made_of.writing, app.clock)
    worker = DeliveryWorker(
        deliveries,
        made_of.recipients,
        Medium(
            Channel.PUSH, "push message", composer.compose, Providers.of("push", [carrier] if carrier else []), gate
        ),
        clock=app.clock,
        tracer=app.tracer,
        max_attempts=MAX_PUSH_ATTEMPTS,
    )
    app.add_worker(
        Worker(push_jobs, worker, batch=8, concurrency=4, max_late=MAX_LATE_PUSHES, breakers=worker.breakers)
    )
    app.schedule(FAIL_DEAD_INTERVAL_S, lambda: deliveries.fail_dead(app.clock.now()), "fail dead push messages")


if __name__ == "__main__":
    process.main("notification", build, metadata=tables.metadata, migrations=MIGRATIONS)
