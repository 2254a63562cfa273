"""The queue of erasures: what other services hold of a person who was erased, and what came late."""

from chassis.queues import queue
from services.user.metadata import metadata

erasure_jobs = queue.table("erasure_jobs", metadata)
"""`kind` is the service. The payload names the person and the pseudonym; it ends a day after the job, and with it their link."""
