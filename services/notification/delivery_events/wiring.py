"""Serves ProviderService."""

from collections.abc import Callable, Sequence

from chassis.app import App
from chassis.queues.queue import Queue
from chassis.settings import Settings, SettingsError
from services.notification.channels.sms.twilio import Account, parse_sms_url
from services.notification.delivery_events.handlers import Provider, ProviderHandlers
from services.notification.delivery_events.sendgrid import SendGridEvents
from services.notification.delivery_events.twilio import TwilioCallbacks, callback_url
from services.notification.suppressions.repository import SuppressionRepository


def serve(app: App, suppressions: SuppressionRepository, dispatch_jobs: Queue) -> None:
    """Events are received of the providers that the settings name. `dispatch_jobs`: by which the next channel follows."""
    providers: dict[str, Provider] = {}
    if accounts := sms_accounts(app.settings):
        providers["twilio"] = TwilioCallbacks(accounts, _url(app))
    if keys := app.settings.sendgrid_event_keys:
        providers["sendgrid"] = SendGridEvents(keys)
    app.add_service(
        "weft.notification.v1.ProviderService",
        ProviderHandlers(app.database, suppressions, dispatch_jobs, app.clock, providers),
    )


def sms_accounts(settings: Settings) -> Sequence[Account]:
    """At the first provider of text messages and the second, as far as the settings name them. Raises `SettingsError`."""
    first, second = settings.sms_url.get_secret_value(), settings.sms_fallback_url.get_secret_value()
    if second and not first:
        raise SettingsError("WEFT_SMS_FALLBACK_URL: name the first provider in WEFT_SMS_URL.")
    named = [("WEFT_SMS_URL", first), ("WEFT_SMS_FALLBACK_URL", second)]
    return [parse_sms_url(url, setting) for setting, url in named if url]


def callback_of(app: App) -> Callable[[str], str]:
    """Where the provider of text messages says what became of a delivery, by its id."""
    url = _url(app)
    return lambda delivery_id: callback_url(url, delivery_id)


def _url(app: App) -> str:
    return f"{app.settings.issuer.rstrip('/')}/v1/providers/twilio/events"
