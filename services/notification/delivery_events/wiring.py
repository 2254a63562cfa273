"""Serves ProviderService."""

from collections.abc import Callable

from chassis.app import App
from chassis.queues.queue import Queue
from services.notification.channels.sms.twilio import parse_sms_url
from services.notification.delivery_events.handlers import Provider, ProviderHandlers
from services.notification.delivery_events.sendgrid import SendGridEvents
from services.notification.delivery_events.twilio import TwilioCallbacks, callback_url
from services.notification.suppressions.repository import SuppressionRepository


def serve(app: App, suppressions: SuppressionRepository, dispatch_jobs: Queue) -> None:
    """Events are received of the providers that the settings name. `dispatch_jobs`: by which the next channel follows."""
    providers: dict[str, Provider] = {}
    if url := app.settings.sms_url.get_secret_value():
        providers["twilio"] = TwilioCallbacks([parse_sms_url(url)], _url(app))
    if keys := app.settings.sendgrid_event_keys:
        providers["sendgrid"] = SendGridEvents(keys)
    app.add_service(
        "weft.notification.v1.ProviderService",
        ProviderHandlers(app.database, suppressions, dispatch_jobs, app.clock, providers),
    )


def callback_of(app: App) -> Callable[[str], str]:
    """Where the provider of text messages says what became of a delivery, by its id."""
    url = _url(app)
    return lambda delivery_id: callback_url(url, delivery_id)


def _url(app: App) -> str:
    return f"{app.settings.issuer.rstrip('/')}/v1/providers/twilio/events"
