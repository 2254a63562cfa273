"""The queue of dispatches."""

from chassis.queues import queue
from services.notification.metadata import metadata

dispatch_jobs = queue.table("dispatch_jobs", metadata)
"""`payload` is the id of a notification. One for its beginning, and one whenever a delivery ends while others wait for it."""
