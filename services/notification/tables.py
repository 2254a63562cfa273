"""The tables of the notification service.

No personal data: recipients are looked up when a mail is sent, and of what was rendered nothing is kept.

Each noun has its own `tables`; this module gathers them, and has those that no noun owns.
"""

from services.notification.deliveries import tables as _deliveries
from services.notification.events import tables as _events
from services.notification.metadata import metadata

NOUNS = (
    _deliveries,
    _events,
)
"""The modules whose tables `metadata` gathers."""

__all__ = ["NOUNS", "metadata"]
