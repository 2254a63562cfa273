"""A queue of jobs on a database of the test's own."""

from itertools import count

from sqlalchemy import MetaData

from chassis.queues.queue import Queue, table
from chassis.storage.database import Database, Query

METADATA = MetaData()
JOBS = table("jobs", METADATA)
_keys = count()
ALL = Query("SELECT kind, state, attempts, error FROM jobs ORDER BY id")


async def put(database: Database, queue: Queue, *kinds: str, key: str | None = None) -> None:
    """Put jobs of these kinds, each with a key of its own unless there is one: what is done stays."""
    async with database.transaction() as tx:
        for kind in kinds:
            await queue.put(tx, kind=kind, payload=b"", key=key or f"job {next(_keys)}")
