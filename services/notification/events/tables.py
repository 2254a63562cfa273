"""Tables of events."""

from chassis.queues import deduplication, queue
from services.notification.metadata import metadata

taken = deduplication.table(metadata)
"""Which events were taken."""

observations = queue.table("observations", metadata)
"""Events to observe: one row for each event and observer. `kind` is the observer, `payload` the event."""
