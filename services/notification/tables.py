"""The tables of the notification service.

No personal data in the clear: recipients are looked up when a mail is sent, rendered text is not stored, and what others have
written is encrypted.

Each noun has its own `tables`; this module gathers them.
"""

from chassis.queues import queue
from chassis.rpc import idempotency
from services.notification.deliveries import tables as _deliveries
from services.notification.deliveries.tables import push_jobs, sms_jobs
from services.notification.delivery_events import tables as _delivery_events
from services.notification.devices import tables as _devices
from services.notification.digests import tables as _digests
from services.notification.dispatch import tables as _dispatch
from services.notification.endpoints import tables as _endpoints
from services.notification.event_log import tables as _event_log
from services.notification.events import tables as _events
from services.notification.metadata import metadata
from services.notification.notifications import tables as _notifications
from services.notification.persons import tables as _persons
from services.notification.preferences import tables as _preferences
from services.notification.requests import tables as _requests
from services.notification.suppressions import tables as _suppressions
from services.notification.templates import tables as _templates
from services.notification.webhooks import tables as _webhooks

idempotency_records = idempotency.table(metadata)

paused_queues = queue.pauses(metadata)

NOUNS = (
    _deliveries,
    _delivery_events,
    _devices,
    _digests,
    _endpoints,
    _event_log,
    _dispatch,
    _events,
    _notifications,
    _persons,
    _preferences,
    _requests,
    _suppressions,
    _templates,
    _webhooks,
)
"""The modules whose tables `metadata` gathers."""

__all__ = ["NOUNS", "idempotency_records", "metadata", "paused_queues", "push_jobs", "sms_jobs"]
