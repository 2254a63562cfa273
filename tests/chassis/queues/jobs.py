"""A queue of jobs on a database of the test's own."""

from sqlalchemy import MetaData

from chassis.queues.queue import Queue, table
from chassis.storage.database import Database, Query

METADATA = MetaData()
JOBS = table("jobs", METADATA)
ALL = Query("SELECT kind, state, attempts, error FROM jobs ORDER BY id")


async def put(database: Database, queue: Queue, *kinds: str, key: str | None = None) -> None:
    async with database.transaction() as tx:
        for kind in kinds:
            await queue.put(tx, kind=kind, payload=b"", key=key)
