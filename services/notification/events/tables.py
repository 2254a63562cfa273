"""Tables of events."""

from chassis.queues import deduplication, queue
from services.notification.metadata import metadata

processed = deduplication.table(metadata)

event_jobs = queue.table("event_jobs", metadata)
"""One row for each event and observer that failed when the event came: `kind` is the observer, `payload` the event."""
