"""Serves NotificationService, and dispatches what it accepts."""

from collections.abc import Mapping

from chassis.app import App
from chassis.queues.queue import Queue
from chassis.queues.worker import Worker
from services.notification.channels.channel import Channel
from services.notification.dispatch.repository import DispatchRepository
from services.notification.dispatch.worker import DispatchWorker
from services.notification.recipients import Recipients
from services.notification.requests.captured import Captured
from services.notification.requests.delivery_handlers import DeliveryHandlers
from services.notification.requests.delivery_repository import RequestedDeliveryRepository
from services.notification.requests.handlers import NotificationHandlers
from services.notification.requests.repository import RequestRepository
from services.notification.requests.sending import Sender
from services.notification.requests.template_tests import TemplateTestHandlers
from services.notification.sealed_content import Contents
from services.notification.templates.handlers import TemplateHandlers
from services.notification.templates.rendering import Templates
from services.notification.templates.repository import TemplateRepository
from services.notification.writing import Writing


def serve(
    app: App,
    jobs: Mapping[Channel, Queue],
    dispatch_jobs: Queue,
    templates: Templates,
    recipients: Recipients,
    contents: Contents,
    stored_templates: TemplateRepository,
) -> None:
    """`jobs` are the queues of the channels that deliver."""
    records, deliveries = RequestRepository(app.database), RequestedDeliveryRepository(app.database, jobs)
    sender = Sender(records, contents, recipients, dispatch_jobs)
    captured = Captured(templates, recipients, Writing(contents, stored_templates))
    app.add_service(
        "weft.notification.v1.NotificationService",
        NotificationHandlers(
            app.database, records, deliveries, sender, contents, stored_templates, app.pages, app.clock
        ),
        DeliveryHandlers(app.database, records, deliveries, captured, app.pages, app.clock),
    )
    app.add_service(
        "weft.notification.v1.TemplateService",
        TemplateHandlers(app.database, stored_templates, app.pages, app.clock),
        TemplateTestHandlers(
            app.database, stored_templates, templates, records, sender, contents, recipients, app.clock
        ),
    )
    dispatches = DispatchRepository(app.database, jobs)
    app.add_worker(Worker(dispatch_jobs, DispatchWorker(dispatches, app.clock, app.tracer), batch=50, concurrency=2))
